//! GitHub's tokens on the disk: sealed, so that a copy of the database opens nobody's profile.
//!
//! AES-256-GCM with a fresh nonce for each seal. The user's `sub` is sealed along as associated
//! data: a row that is put in another user's place does not open. The key lies apart from the
//! database, beside the signing key, readable by this user alone.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::RandomizedNonceKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::permissions;
use crate::secret;
use crate::upstream::identity::Tokens;

/// The name of the key file.
const FILE: &str = "vault.key";

/// What seals and opens.
pub(crate) struct Vault(RandomizedNonceKey);

impl Vault {
    /// With the key in that directory, which is made where there is none.
    ///
    /// # Errors
    ///
    /// One sentence for the person who starts the server.
    pub(crate) fn open(keys_dir: &Path) -> Result<Self> {
        let path = keys_dir.join(FILE);
        if !path.exists() {
            make(keys_dir, &path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        permissions::warn_about("the vault's key", &[&path]);
        let key = URL_SAFE_NO_PAD.decode(text.trim()).ok();
        key.and_then(|key| RandomizedNonceKey::new(&AES_256_GCM, &key).ok())
            .map(Self)
            .ok_or_else(|| {
                anyhow!(
                    "{path} holds no key of 32 bytes: move it away, and users sign in once more",
                    path = path.display()
                )
            })
    }

    /// Nonce and ciphertext; opens for this `sub` only.
    pub(crate) fn seal(
        &self,
        sub: &str,
        tokens: &Tokens,
    ) -> Vec<u8> {
        let mut text = serde_json::to_vec(tokens).expect("tokens are strings and a number");
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(sub.as_bytes()), &mut text)
            .expect("a text this short can be sealed");
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        sealed
    }

    /// `None` for what was sealed with another key, or for somebody else, or has been changed.
    pub(crate) fn unseal(
        &self,
        sub: &str,
        sealed: &[u8],
    ) -> Option<Tokens> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(sub.as_bytes()), &mut text).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

/// Written aside and then linked into place, which fails where another process was first: its key
/// is as good.
fn make(
    keys_dir: &Path,
    path: &Path,
) -> io::Result<()> {
    fs::create_dir_all(keys_dir)?;
    let aside = keys_dir.join(format!("{FILE}.{}", secret::random()));
    let written = write(&aside).and_then(|()| fs::hard_link(&aside, path));
    fs::remove_file(&aside)?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    // 256 random bits, as everywhere here.
    file.write_all(secret::random().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(access: &str) -> Tokens {
        Tokens {
            access: access.to_owned(),
            refresh: None,
            expires_at: None,
        }
    }

    #[test]
    fn what_is_sealed_opens_for_its_user_and_with_its_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let sealed = vault.seal("github:1", &tokens("gho_secret"));
        assert!(!String::from_utf8_lossy(&sealed).contains("gho_secret"));
        let again = Vault::open(dir.path()).unwrap();
        assert_eq!(
            again.unseal("github:1", &sealed).unwrap().access,
            "gho_secret"
        );
        assert!(again.unseal("github:2", &sealed).is_none());
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(again.unseal("github:1", &changed).is_none());
        assert!(again.unseal("github:1", &sealed[..5]).is_none());
        let other = tempfile::tempdir().unwrap();
        assert!(Vault::open(other.path()).unwrap().unseal("github:1", &sealed).is_none());
    }

    #[test]
    fn the_same_tokens_never_look_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let seal = || vault.seal("github:1", &tokens("gho_secret"));
        assert_ne!(seal(), seal());
    }

    #[test]
    fn the_key_is_for_this_user_alone_and_a_broken_one_is_said() {
        let dir = tempfile::tempdir().unwrap();
        Vault::open(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(permissions::mode_for_others(&path), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(&path, "short").unwrap();
        let error = Vault::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("vault.key holds no key"), "{error}");
    }
}
