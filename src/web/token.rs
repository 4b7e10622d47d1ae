//! The admin token: made, hashed, compared.

use std::hint::black_box;

use sha2::{Digest, Sha256};

use crate::domain::batch::hex;
use crate::domain::fault::{Fault, FaultKind};

/// A SHA-256.
pub type Hash = [u8; 32];

/// A fresh token of 256 random bits from the operating system, as 64 hexadecimal digits.
pub fn fresh() -> Result<String, Fault> {
    Ok(hex(&random()?))
}

/// 32 random bytes from the operating system.
pub(super) fn random() -> Result<Hash, Fault> {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::ring::default_provider();
    provider
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Fault::new(FaultKind::Internal, "the operating system gives no random numbers"))?;
    Ok(bytes)
}

/// The SHA-256 of a token.
pub fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

/// The SHA-256 of a token, in hexadecimal digits, as `http.admin_token_sha256` wants it.
pub fn hash_text(token: &str) -> String {
    hex(&hash(token.as_bytes()))
}

/// Reads a hash of 64 hexadecimal digits.
pub(super) fn parse(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    // Digits alone: `from_str_radix` takes a sign too.
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// True when they are the same. Takes as long wherever they differ, so that the time tells nothing.
pub(super) fn same(one: &Hash, other: &Hash) -> bool {
    let difference =
        one.iter().zip(other).fold(0, |difference, (one, other)| black_box(difference | (one ^ other)));
    black_box(difference) == 0
}

/// A keyed hash of `text`. The key goes into both rounds, so that nobody can add to a text that was signed.
pub(super) fn sign(key: &Hash, text: &[u8]) -> Hash {
    let inner = Sha256::new().chain_update(key).chain_update(text).finalize();
    Sha256::new().chain_update(key).chain_update(b"outer").chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_random_and_known_by_their_hash() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 64);
        assert_eq!(parse(&hash_text(&one)), Some(hash(one.as_bytes())));
        assert!(same(&hash(b"a"), &hash(b"a")) && !same(&hash(b"a"), &hash(b"b")));
        assert_eq!((parse("12"), parse(&"zz".repeat(32)), parse(&"+f".repeat(32))), (None, None, None));
        // `printf %s abc | sha256sum`
        assert_eq!(hash_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_ne!(sign(&[1; 32], b"text"), sign(&[2; 32], b"text"));
    }
}
