//! The RSA key pair in `keys/`: made once, stored atomically, shared by every tool.
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
//! Left out: encrypted key files, other algorithms, several keys at once (rotation is the
//! authorization server's business).

use std::fmt;
use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::io::Write;
use std::path;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rsa;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use pem::EncodeConfig;
use pem::LineEnding;
use pem::Pem;
use tempfile::NamedTempFile;

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

/// An RSA key pair with the names it goes by: PEM, JWK and `kid`.
///
/// `Debug` shows the `kid` only.
#[derive(Clone)]
pub struct KeyPair {
    private_pem: String,
    public_pem: String,
    signer: EncodingKey,
    jwk: Jwk,
    kid: String,
}

impl KeyPair {
    /// Makes a new 2048-bit pair: RFC 7518 section 3.3 wants no less for RS256.
    pub fn generate() -> Result<Self> {
        let key = rsa::KeyPair::generate(KeySize::Rsa2048).context("cannot make an RSA key")?;
        Self::from_rsa(&key)
    }

    /// Takes the pair from its private half: unencrypted PKCS#8, `-----BEGIN PRIVATE KEY-----`.
    ///
    /// Fails for anything else, and for keys under 2048 bits.
    pub fn from_private_pem(pem: &str) -> Result<Self> {
        // The cause is dropped on purpose: no parser's error text may carry key material.
        let unknown = || {
            anyhow!(
                "not an RSA private key in unencrypted PKCS#8 (`BEGIN PRIVATE KEY`); \
                 `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW` converts one"
            )
        };
        let pem = pem::parse(pem).map_err(|_| unknown())?;
        ensure!(pem.tag() == PRIVATE_TAG, unknown());
        let key = rsa::KeyPair::from_pkcs8(pem.contents()).map_err(|error| {
            if is_too_small(error) {
                return anyhow!("the RSA key has fewer than 2048 bits, which RS256 needs");
            }
            unknown()
        })?;
        Self::from_rsa(&key)
    }

    fn from_rsa(key: &rsa::KeyPair) -> Result<Self> {
        let private_der: Pkcs8V1Der<'_> = key.as_der()?;
        let private_pem = to_pem(PRIVATE_TAG, private_der.as_ref());
        let public_pem = to_pem(PUBLIC_TAG, key.public_key().as_der()?.as_ref());
        let signer = EncodingKey::from_rsa_pem(private_pem.as_bytes())?;
        let jwk = jwk_of(&public_pem)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        Ok(Self {
            private_pem,
            public_pem,
            signer,
            jwk: named(jwk, &kid),
            kid,
        })
    }

    /// The key's name in token headers and key sets: its RFC 7638 SHA-256 thumbprint, 43
    /// base64url characters. It follows from the key, so nobody has to agree on it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a key set lists it: `kty`, `n`, `e`, `use: "sig"`, `alg: "RS256"`, `kid`.
    pub fn public_jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The private key in the form `jsonwebtoken` signs with, for RS256.
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

    /// Reads the pair in `dir`; `None` where there is none yet (or no such directory).
    ///
    /// A lone `private.pem` is completed. A lone `public.pem`, or two files that are not a pair,
    /// is an error that says how to get out of it.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
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

    /// Reads the pair in `dir`, or makes one where there is none; `true` when it was made here.
    ///
    /// Any number of processes may call this at once: one pair wins, and all return it.
    pub fn load_or_create(dir: &Path) -> Result<(Self, bool)> {
        if let Some(pair) = Self::load(dir)? {
            return Ok((pair, false));
        }
        let pair = Self::generate()?;
        if pair.write_private(dir, false)? {
            return Ok((publish(dir)?, true));
        }
        let winner = Self::load(dir)?;
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
        f.debug_struct("KeyPair")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
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

fn jwk_of(public_pem: &str) -> jsonwebtoken::errors::Result<Jwk> {
    let key = DecodingKey::from_rsa_pem(public_pem.as_bytes())?;
    Jwk::from_decoding_key(&key, Some(Algorithm::RS256))
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
    let same = jwk_of(&public_pem).is_ok_and(|jwk| jwk.algorithm == pair.jwk.algorithm);
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

/// `None` where the file does not exist; every other failure is an error.
fn read(
    dir: &Path,
    name: &str,
) -> Result<Option<String>> {
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", shown(dir, name))),
    }
}

/// Puts `text` in place in one rename, after it has reached the disk.
///
/// `false` where the file exists and may not be overwritten. The temporary file lies in the same
/// directory, as a rename must not cross file systems, and has its mode from the start: changing
/// it later would leave a moment in which others could open a private key.
fn replace(
    dir: &Path,
    name: &str,
    text: &str,
    mode: u32,
    overwrite: bool,
) -> Result<bool> {
    let written =
        write_new(dir, text, mode).and_then(|file| persist(file, &dir.join(name), overwrite));
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", shown(dir, name))),
    }
}

fn write_new(
    dir: &Path,
    text: &str,
    mode: u32,
) -> io::Result<NamedTempFile> {
    let mut file = temporary(dir, mode)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn persist(
    file: NamedTempFile,
    path: &Path,
    overwrite: bool,
) -> io::Result<()> {
    let kept = if overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    kept.map(drop).map_err(|failed| failed.error)
}

#[cfg(unix)]
fn temporary(
    dir: &Path,
    mode: u32,
) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
}

/// Without unix modes the file inherits the access rules of the directory.
#[cfg(not(unix))]
fn temporary(
    dir: &Path,
    _mode: u32,
) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().tempfile_in(dir)
}

#[cfg(unix)]
fn make_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}

/// The file's full path: a relative one is no help to somebody in the wrong directory.
fn shown(
    dir: &Path,
    name: &str,
) -> String {
    let path = dir.join(name);
    path::absolute(&path).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
