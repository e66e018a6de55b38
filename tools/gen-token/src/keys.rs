//! The key pair in `keys/`: made once, stored atomically, shared by every tool.
//!
//! Implements the key half of RFC 7517 (the public key as a JWK) and RFC 7638 (its thumbprint,
//! used as `kid`). Two files hold one pair: `private.pem` (PKCS#8, RFC 5958) signs, `public.pem`
//! (SubjectPublicKeyInfo, RFC 5280) is what a resource server reads.
//!
//! **`private.pem` decides.** `public.pem` follows from it and can always be written again, so
//! there is one moment at which a pair comes into being. A crash while making a pair leaves at worst
//! a `private.pem` alone, which the next load completes; one while replacing a pair leaves the old
//! `public.pem` beside the new `private.pem`, which the next load refuses with the way out.
//!
//! The servers' `--public-key` and the authorization server take RSA keys, for RS256; keys of other
//! kinds are for trying out issuers that sign otherwise, each kind in a directory of its own.
//!
//! Left out: encrypted key files, several keys at once (rotation is the authorization server's
//! business).

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;
use aws_lc_rs::error::KeyRejected;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use pem::EncodeConfig;
use pem::LineEnding;
use pem::Pem;

use crate::algorithm::Algorithm;
use crate::algorithm::Halves;
use crate::algorithm::Kind;
use crate::files::make_dir;
use crate::files::read;
use crate::files::replace;
use crate::files::shown;

/// File name of the private key inside the keys directory. Mode 0600.
pub const PRIVATE_FILE: &str = "private.pem";

/// File name of the public key inside the keys directory. Mode 0644.
pub const PUBLIC_FILE: &str = "public.pem";

/// What the two files hold, in the words of RFC 7468 sections 10 and 13.
const PRIVATE_TAG: &str = "PRIVATE KEY";
const PUBLIC_TAG: &str = "PUBLIC KEY";

/// How often, and how long apart, a pair that does not match is looked at again: another process
/// may be between its two renames, and that lasts milliseconds.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// A key pair with the names it goes by: PEM, JWK and `kid`.
///
/// `Debug` shows the `kid` only.
#[derive(Clone)]
pub struct KeyPair {
    algorithm: Algorithm,
    private_pem: String,
    public_pem: String,
    signer: EncodingKey,
    jwk: Jwk,
    kid: String,
}

impl KeyPair {
    /// Makes a new pair for RS256.
    pub fn generate() -> Result<Self> {
        Self::generate_for(Algorithm::Rs256)
    }

    /// Makes a new pair for this algorithm; an RSA key has 2048 bits.
    pub fn generate_for(algorithm: Algorithm) -> Result<Self> {
        let halves = algorithm.kind().generate();
        let halves = halves.with_context(|| format!("cannot make {}", algorithm.kind()))?;
        Self::from_halves(&halves, algorithm)
    }

    /// Takes the pair from its private half: unencrypted PKCS#8, `-----BEGIN PRIVATE KEY-----`.
    ///
    /// It is for the usual algorithm of its kind of key. Fails for anything else, and for RSA keys
    /// under 2048 bits.
    pub fn from_private_pem(pem: &str) -> Result<Self> {
        // The cause is dropped on purpose: no parser's error text may carry key material.
        let pem = pem::parse(pem).map_err(|_| unknown_key())?;
        ensure!(pem.tag() == PRIVATE_TAG, unknown_key());
        for kind in Kind::ALL {
            match kind.read(pem.contents()) {
                Ok(halves) => return Self::from_halves(&halves, kind.usual_algorithm()),
                Err(error) if is_too_small(error) => {
                    bail!("the RSA key has fewer than 2048 bits, which RS256 needs")
                }
                Err(_) => {}
            }
        }
        Err(unknown_key())
    }

    fn from_halves(
        halves: &Halves,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let private_pem = to_pem(PRIVATE_TAG, &halves.private);
        let public_pem = to_pem(PUBLIC_TAG, &halves.public);
        let signer = algorithm.kind().encoding_key(&private_pem)?;
        let jwk = jwk_of(&public_pem, algorithm)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        Ok(Self {
            algorithm,
            private_pem,
            public_pem,
            signer,
            jwk: named(jwk, &kid),
            kid,
        })
    }

    /// The same key for this algorithm, where it is one that the key can sign.
    fn signing(
        mut self,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let (has, needs) = (self.algorithm.kind(), algorithm.kind());
        ensure!(
            has == needs,
            "it is {has}, for {}, and {algorithm} needs {needs}: keep each kind of key in a \
             --keys-dir of its own",
            self.algorithm,
        );
        self.algorithm = algorithm;
        self.jwk.common.key_algorithm = Some(algorithm.jws().into());
        Ok(self)
    }

    /// What it signs by.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's name in token headers and key sets: its RFC 7638 SHA-256 thumbprint, 43
    /// base64url characters. It follows from the key, so nobody has to agree on it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a key set lists it: `kty` with the members of that type (`n` and `e`, or
    /// `crv`, `x` and perhaps `y`), `use: "sig"`, `alg`, `kid`.
    pub fn public_jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The private key in the form `jsonwebtoken` signs with.
    pub fn encoding_key(&self) -> &EncodingKey {
        &self.signer
    }

    /// The public key, `-----BEGIN PUBLIC KEY-----`; byte for byte what [`KeyPair::store`] writes.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The private key, `-----BEGIN PRIVATE KEY-----`. A secret: store it, never print it.
    pub fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// Reads the pair in `dir`, for RS256; `None` where there is none yet (or no such directory).
    ///
    /// A lone `private.pem` is completed. A lone `public.pem`, two files that are not a pair, or a
    /// key of another kind is an error that says how to get out of it.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        Self::load_for(Algorithm::Rs256, dir)
    }

    /// Reads the pair in `dir` as [`KeyPair::load`] does, for this algorithm.
    pub fn load_for(
        algorithm: Algorithm,
        dir: &Path,
    ) -> Result<Option<Self>> {
        let Some(pair) = Self::load_any(dir)? else {
            return Ok(None);
        };
        let pair = pair.signing(algorithm);
        let pair = pair.with_context(|| format!("cannot use {}", shown(dir, PRIVATE_FILE)))?;
        Ok(Some(pair))
    }

    fn load_any(dir: &Path) -> Result<Option<Self>> {
        match settled(|| look(dir))? {
            Found::Nothing => Ok(None),
            Found::Pair(pair) => Ok(Some(*pair)),
            Found::PrivateOnly => publish(dir).map(Some),
            Found::PublicOnly => bail!(
                "{} has no {PRIVATE_FILE} beside it, so nothing can be signed: put the private key \
                 back, or move {PUBLIC_FILE} away to have a new pair made",
                shown(dir, PUBLIC_FILE),
            ),
            Found::Mismatch => bail!(
                "{} is not the public half of {PRIVATE_FILE} beside it: delete {PUBLIC_FILE} to \
                 have it written again from the private key",
                shown(dir, PUBLIC_FILE),
            ),
        }
    }

    /// Reads the pair in `dir`, or makes one where there is none, for RS256; `true` when it was
    /// made here.
    ///
    /// Any number of processes may call this at once: one pair wins, and all return it.
    pub fn load_or_create(dir: &Path) -> Result<(Self, bool)> {
        Self::load_or_create_for(Algorithm::Rs256, dir)
    }

    /// Reads or makes the pair in `dir` as [`KeyPair::load_or_create`] does, for this algorithm.
    ///
    /// A pair that is there and of another kind stays as it is, and is an error.
    pub fn load_or_create_for(
        algorithm: Algorithm,
        dir: &Path,
    ) -> Result<(Self, bool)> {
        if let Some(pair) = Self::load_for(algorithm, dir)? {
            return Ok((pair, false));
        }
        let pair = Self::generate_for(algorithm)?;
        if pair.write_private(dir, false)? {
            return Ok((publish(dir)?.signing(algorithm)?, true));
        }
        let winner = Self::load_for(algorithm, dir)?;
        let winner = winner.with_context(|| format!("{} vanished", shown(dir, PRIVATE_FILE)))?;
        Ok((winner, false))
    }

    /// Writes the pair to `dir`; only with `overwrite` where either file already exists.
    ///
    /// Each file is replaced in one rename, so a reader sees the old key or the new, never half
    /// of one and never none. The private key goes first: until `public.pem` follows, a running
    /// server still accepts the tokens that people hold, all signed with the old key. Every one
    /// of them is refused from then on.
    pub fn store(
        &self,
        dir: &Path,
        overwrite: bool,
    ) -> Result<()> {
        let taken = || {
            format!(
                "{} already holds keys, and they are kept: `gen-token --generate-keys --force` \
                 replaces them and makes every token signed so far invalid",
                shown(dir, ""),
            )
        };
        ensure!(overwrite || !dir.join(PUBLIC_FILE).exists(), taken());
        ensure!(self.write_private(dir, overwrite)?, taken());
        publish(dir).map(drop)
    }

    /// `false` where `private.pem` exists and may not be overwritten.
    fn write_private(
        &self,
        dir: &Path,
        overwrite: bool,
    ) -> Result<bool> {
        make_dir(dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
        replace(dir, PRIVATE_FILE, &self.private_pem, 0o600, overwrite)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.debug_struct("KeyPair").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn unknown_key() -> anyhow::Error {
    anyhow!(
        "not a private key for RS256, PS256, ES256, ES384 or EdDSA in unencrypted PKCS#8 \
         (`BEGIN PRIVATE KEY`); `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW` converts one"
    )
}

/// The library tells its reasons by their names alone.
fn is_too_small(error: KeyRejected) -> bool {
    error.to_string() == "TooSmall"
}

/// RFC 7468: lines of 64 characters, with the line breaks of every platform's own tools.
fn to_pem(
    tag: &str,
    der: &[u8],
) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(tag, der), config)
}

fn jwk_of(
    public_pem: &str,
    algorithm: Algorithm,
) -> jsonwebtoken::errors::Result<Jwk> {
    let key = algorithm.kind().decoding_key(public_pem)?;
    Jwk::from_decoding_key(&key, Some(algorithm.jws()))
}

/// RFC 7517 section 4: what the key is for, and its name. `jsonwebtoken` leaves both open.
fn named(
    mut jwk: Jwk,
    kid: &str,
) -> Jwk {
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

/// What a look at the directory found.
enum Found {
    Nothing,
    Pair(Box<KeyPair>),
    PrivateOnly,
    PublicOnly,
    Mismatch,
}

/// Looks again while the two files contradict each other: a writer may be between its renames.
fn settled(mut look: impl FnMut() -> Result<Found>) -> Result<Found> {
    for _ in 1..LOOKS {
        match look()? {
            Found::PublicOnly | Found::Mismatch => thread::sleep(PAUSE),
            found => return Ok(found),
        }
    }
    look()
}

fn look(dir: &Path) -> Result<Found> {
    Ok(match (read(dir, PRIVATE_FILE)?, read(dir, PUBLIC_FILE)?) {
        (None, None) => Found::Nothing,
        (None, Some(_)) => Found::PublicOnly,
        (Some(private), None) => parse(dir, &private).map(|_| Found::PrivateOnly)?,
        (Some(private), Some(public)) => paired(parse(dir, &private)?, public),
    })
}

/// Keeps the public file's own bytes: another tool may have written the same key with other line
/// breaks, and what the servers read is the file.
fn paired(
    pair: KeyPair,
    public_pem: String,
) -> Found {
    let public = jwk_of(&public_pem, pair.algorithm);
    let same = public.is_ok_and(|jwk| jwk.algorithm == pair.jwk.algorithm);
    if !same {
        return Found::Mismatch;
    }
    Found::Pair(Box::new(KeyPair {
        public_pem,
        ..pair
    }))
}

/// Writes `public.pem` from whatever `private.pem` now holds, and returns that pair.
fn publish(dir: &Path) -> Result<KeyPair> {
    publish_by(dir, |pem| replace(dir, PUBLIC_FILE, pem, 0o644, true))
}

/// Repeats when the private key changed meanwhile. So whichever of two writers is last leaves a
/// matching pair behind, without a lock file that a killed process would leave behind too.
fn publish_by(
    dir: &Path,
    mut write: impl FnMut(&str) -> Result<bool>,
) -> Result<KeyPair> {
    loop {
        let before = read(dir, PRIVATE_FILE)?;
        let private = before
            .as_deref()
            .with_context(|| format!("{} vanished", shown(dir, PRIVATE_FILE)))?;
        let pair = parse(dir, private)?;
        write(&pair.public_pem)?;
        if read(dir, PRIVATE_FILE)? == before {
            return Ok(pair);
        }
    }
}

fn parse(
    dir: &Path,
    private_pem: &str,
) -> Result<KeyPair> {
    KeyPair::from_private_pem(private_pem)
        .with_context(|| format!("cannot use {}", shown(dir, PRIVATE_FILE)))
}

/// A sentence for the operator where others than its owner may open the private key in `dir`.
///
/// Nothing is changed, because somebody may rely on it, and whoever read the key still has it.
/// Only unix has such modes.
#[cfg(unix)]
pub fn exposure(dir: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(dir.join(PRIVATE_FILE)).ok()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return None;
    }
    let path = shown(dir, PRIVATE_FILE);
    Some(format!(
        "{path} has mode {mode:04o}, so others on this machine may sign with it: `chmod 600` keeps \
         them out, and a new key if anybody has read it"
    ))
}

/// A sentence for the operator where others than its owner may open the private key in `dir`.
///
/// Only unix has such modes.
#[cfg(not(unix))]
pub fn exposure(_dir: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests;
