//! Users and groups of this host, from its own files; enough to explain a missing permission.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    members: Vec<String>,
}

/// The group a file belongs to; `None` when it cannot be told.
pub fn group_of(path: &Path) -> Option<Group> {
    let id = fs::metadata(path).ok()?.gid();
    group(&fs::read_to_string("/etc/group").ok()?, id)
}

/// The user who runs this is listed as a member, whether the session knows yet or not.
pub fn is_member(group: &Group) -> bool {
    let id = rustix::process::getuid().as_raw();
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|text| user(&text, id));
    name.is_some_and(|name| group.members.contains(&name))
}

/// A group in the text of `/etc/group` (`name:password:id:members`).
fn group(text: &str, id: u32) -> Option<Group> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        let members = fields.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        (found == id).then(|| Group { name: name.to_owned(), members })
    })
}

/// A user's name in the text of `/etc/passwd` (`name:password:id:…`).
fn user(text: &str, id: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == id).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_group_with_its_members_and_a_user() {
        let groups = "root:x:0:\nbroken\ndocker:x:998:ann,bob\n";
        let docker = group(groups, 998).expect("listed");
        assert_eq!((docker.name.as_str(), docker.members.as_slice()), ("docker", &["ann".into(), "bob".into()][..]));
        assert_eq!(group(groups, 7), None);
        assert_eq!(user("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/bin/sh", 1000).as_deref(), Some("ann"));
    }
}
