//! The parts of a backup job that are maps or lists themselves: store, encryption, what stays, hooks.

use std::time::Duration;

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::backup::{Hook, Keep, S3Options, Sealing, StoreChoice, StoreUrl};

const STORE_KEYS: [&str; 6] = ["url", "endpoint", "region", "path_style", "encryption", "kms_key"];
const KEEP_KEYS: [&str; 7] = ["last", "hourly", "daily", "weekly", "monthly", "yearly", "min_age"];
const COMPRESSION_KEYS: [&str; 2] = ["level", "long"];
const HOOK_KEYS: [&str; 2] = ["command", "webhook"];

const KMS: &str = "aws:kms";
const ENCRYPTIONS: [(&str, &str); 2] = [("AES256", "AES256"), (KMS, KMS)];

/// More backups of one job than anybody keeps; beyond it a number is a slip of the finger.
const MOST_KEPT: i128 = 100_000;

/// Nobody means a minimum age of more than ten years.
const LONGEST_MIN_AGE: Duration = Duration::from_hours(10 * 366 * 24);

/// An address, or a map of an address and how it is reached.
pub(super) fn store(entry: &Entry<'_>, problems: &mut Problems) -> Option<StoreChoice> {
    if !matches!(entry.node, Node::Map(_)) {
        let url = entry.checked("a store", str::parse::<StoreUrl>, problems)?;
        return Some(StoreChoice { url, s3: S3Options::default() });
    }
    let keys = entry.fields(&STORE_KEYS, problems)?;
    let text = |key: &str, what: &str, problems: &mut Problems| {
        keys.get(key).and_then(|entry| entry.checked(what, word, problems))
    };
    let s3 = S3Options {
        endpoint: keys.get("endpoint").and_then(|entry| entry.checked("an address", address, problems)),
        region: text("region", "a region", problems),
        path_style: keys.get("path_style").and_then(|entry| entry.flag(problems)).unwrap_or_default(),
        encryption: keys.get("encryption").and_then(|entry| entry.choice(&ENCRYPTIONS, problems)).map(str::to_owned),
        kms_key: text("kms_key", "a key", problems),
    };
    if let Some(key) = keys.get("kms_key").filter(|_| s3.encryption.as_deref() != Some(KMS)) {
        key.refuse(problems, format!("only means something with `encryption: {KMS}`"));
    }
    let url = keys.need("url", problems)?.checked("a store", str::parse::<StoreUrl>, problems)?;
    if matches!(url, StoreUrl::Disk(_)) {
        for key in &STORE_KEYS[1..] {
            if let Some(entry) = keys.get(key) {
                entry.refuse(problems, "only means something with a bucket (`s3://…`)");
            }
        }
    }
    Some(StoreChoice { url, s3 })
}

fn word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err(format!("`{}` is not usable: one word without blanks", text.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}

/// `http://host:port`, without credentials: those come from where the SDK looks for them.
pub fn address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    match rest {
        Some(rest) if rest.split('/').next().unwrap_or_default().contains('@') => {
            Err("credentials do not belong in this file".to_owned())
        }
        Some(rest) if !rest.is_empty() && !rest.starts_with(['/', ':']) && !rest.contains(is_odd) => {
            Ok(text.to_owned())
        }
        _ => Err(format!("`{}` is no address such as `https://host` or `http://host:9000`", text.escape_debug())),
    }
}

/// Compression and encryption.
pub(super) fn sealing(keys: &Fields<'_>, problems: &mut Problems) -> Sealing {
    let default = Sealing::default();
    let compression = keys.within("compression", &COMPRESSION_KEYS, problems);
    let level = compression.get("level").and_then(|entry| entry.number(&(1..=19), problems));
    let is_long = compression.get("long").and_then(|entry| entry.flag(problems)).unwrap_or(default.is_long);
    Sealing {
        level: level.and_then(|level| i32::try_from(level).ok()).unwrap_or(default.level),
        is_long,
        recipients: keys.get("encrypt").map(|entry| recipients(entry, problems)).unwrap_or_default(),
    }
}

fn recipients(entry: &Entry<'_>, problems: &mut Problems) -> Vec<String> {
    let Some(items) = entry.list("recipients", problems) else { return Vec::new() };
    if items.is_empty() {
        entry.refuse_and_help(
            problems,
            "is empty",
            Some("leave the key out, or name a recipient (`age1…`)".to_owned()),
        );
    }
    let mut claims = Vec::new();
    for item in items {
        if let Some(key) = item.checked("a recipient", recipient, problems) {
            claims.push(Claim::of(&item, key));
        }
    }
    refuse_twice(&claims, problems);
    claims.into_iter().map(|claim| claim.value).collect()
}

/// A public key of age. Its private key is never repeated, should it have been put here by mistake.
fn recipient(text: &str) -> Result<String, String> {
    if text.to_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err("a private key does not belong in this file: give the public key, `age1…`".to_owned());
    }
    match text.parse::<age::x25519::Recipient>() {
        Ok(_) => Ok(text.to_owned()),
        Err(because) => Err(format!("`{}` is no age recipient (`age1…`): {because}", text.escape_debug())),
    }
}

/// What stays.
pub(super) fn keep(entry: &Entry<'_>, problems: &mut Problems) -> Option<Keep> {
    let keys = entry.fields(&KEEP_KEYS, problems)?;
    let mut has_mistake = false;
    let mut count = |key: &str| {
        let Some(entry) = keys.get(key) else { return 0 };
        let number = entry.number(&(0..=MOST_KEPT), problems);
        has_mistake |= number.is_none();
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    };
    let mut keep = Keep {
        last: count("last"),
        hourly: count("hourly"),
        daily: count("daily"),
        weekly: count("weekly"),
        monthly: count("monthly"),
        yearly: count("yearly"),
        min_age: Duration::ZERO,
    };
    if let Some(entry) = keys.get("min_age") {
        let age = entry.checked("an age", |text| formats::span(text, &(Duration::ZERO..=LONGEST_MIN_AGE)), problems);
        has_mistake |= age.is_none();
        keep.min_age = age.unwrap_or_default();
    }
    // A wrong number may have meant to keep something; an empty or all-zero policy certainly keeps nothing.
    if keep == Keep::default() && !has_mistake {
        entry.refuse(problems, "keeps no backup at all");
    }
    Some(keep)
}

/// What is told to others.
pub(super) fn hooks(entry: Option<&Entry<'_>>, problems: &mut Problems) -> Vec<Hook> {
    let items = entry.and_then(|entry| entry.list("hooks", problems)).unwrap_or_default();
    items.iter().filter_map(|item| hook(item, problems)).collect()
}

fn hook(item: &Entry<'_>, problems: &mut Problems) -> Option<Hook> {
    let keys = item.fields(&HOOK_KEYS, problems)?;
    match (keys.get("command"), keys.get("webhook")) {
        (Some(command), None) => {
            let words: Vec<_> = command.list("a program and its arguments", problems)?;
            let words: Vec<String> =
                words.iter().filter_map(|word| word.checked("an argument", argument, problems)).collect();
            if words.first().is_none_or(String::is_empty) {
                command.refuse(problems, "names no program");
            }
            Some(Hook::Command(words))
        }
        (None, Some(webhook)) => webhook.checked("an address", address, problems).map(Hook::Webhook),
        _ => {
            item.refuse(problems, "is either `command: [program, argument, …]` or `webhook: https://…`");
            None
        }
    }
}

fn argument(text: &str) -> Result<String, &'static str> {
    if text.contains('\0') { Err("an argument cannot hold a NUL") } else { Ok(text.to_owned()) }
}
