//! Signatures of what receivers are sent, as Standard Webhooks has them (<https://www.standardwebhooks.com>, version 1):
//! HMAC-SHA256 over `id.timestamp.body`, in base64.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a key begins with, as text.
const PREFIX: &str = "whsec_";

/// A key that a receiver has, too. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Arc<[u8]>);

impl SigningKey {
    /// The fewest and the most bytes of a key, before base64 (Standard Webhooks, "Signature scheme").
    pub const BYTES: (usize, usize) = (24, 64);

    /// Reads `whsec_` and base64; `None` for anything else, and for a key that is too short or too long.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        let (least, most) = Self::BYTES;
        (least..=most).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// The value of `webhook-signature`: one signature for each key, so that a receiver may know either. `timestamp` is in
/// seconds of Unix time.
pub fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &str) -> String {
    keys.iter().map(|key| key.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, and its libraries'
        // tests.
        let key = SigningKey::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signatures(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_keys_make_two_signatures_and_no_key_prints() {
        let keys = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"];
        let keys = keys.map(|text| SigningKey::read(text).unwrap());
        let both = signatures(&keys, "id", 1, "{}");
        let each: Vec<_> = keys.iter().map(|key| key.sign("id", 1, "{}")).collect();
        assert_eq!(both.split(' ').collect::<Vec<_>>(), each);
        assert_ne!(each[0], each[1]);
        assert_eq!(format!("{keys:?}"), "[***, ***]");
    }

    #[test]
    fn what_is_no_key_is_none() {
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8I",
            "whsec_%%%",
            &long,
        ] {
            assert_eq!(SigningKey::read(text), None, "{text}");
        }
        assert!(SigningKey::read(&format!("whsec_{}\n", STANDARD.encode([7; 64]))).is_some());
    }
}
