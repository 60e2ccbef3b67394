//! `schema dump`: the schema as text, on the terminal, into a directory, or compared with what is committed there.

use std::path::{Path, PathBuf};

use futures_util::future::try_join;
use serde::Serialize;
use similar::TextDiff;

use super::args::{Cli, DumpArgs};
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::backup::error::BackupError;
use crate::backup::external::External;
use crate::backup::run::Origin;
use crate::backup::schema::ddl;
use crate::backup::source::Reading;
use crate::docker::engine::Engine;
use crate::model::cluster::Role;
use crate::site::Reach;

/// The JSON document.
#[derive(Debug, Serialize)]
struct Document {
    /// The text; `None` when it is in a file.
    schema: Option<String>,
    /// The file it was written to or compared with.
    file: Option<String>,
    /// It is what the file has.
    is_equal: Option<bool>,
    /// A unified diff from the file to the database.
    diff: Option<String>,
}

/// What an [`Origin`] borrows from.
#[derive(Default)]
pub(super) struct Ground {
    engine: Option<Engine>,
    context: Option<Context>,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &DumpArgs) -> Result<u8, Failure> {
    let text = read(cli, args.url.as_deref()).await?;
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).map_err(|error| {
            Failure::new(exit::FAILED, format!("cannot make the directory {}: {error}", dir.display()))
        })?;
    }
    let file = |dir: &PathBuf| dir.join(ddl::FILE_NAME);
    tell(cli, text, args.out.as_ref().map(file).as_deref(), args.check.as_ref().map(file).as_deref())
}

/// Prints the text, writes it to a file, or says how it differs from one.
pub(super) fn tell(cli: &Cli, text: String, out: Option<&Path>, check: Option<&Path>) -> Result<u8, Failure> {
    let nothing = Document { schema: None, file: None, is_equal: None, diff: None };
    if let Some(file) = check {
        let committed = match std::fs::read_to_string(file) {
            Ok(committed) => committed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::new(exit::USAGE, format!("cannot read {}: {error}", file.display()))),
        };
        let diff = (committed != text).then(|| difference(&committed, &text, file));
        let is_equal = diff.is_none();
        if cli.json {
            let file = Some(file.display().to_string());
            render::json(&Document { file, is_equal: Some(is_equal), diff, ..nothing });
        } else if let Some(diff) = diff {
            render::line(diff.trim_end());
            render::note(format!("the database differs from {}", file.display()));
        } else {
            render::line(format!("{} is what the database has", file.display()));
        }
        return Ok(if is_equal { exit::DONE } else { exit::FAILED });
    }
    if let Some(file) = out {
        std::fs::write(file, &text)
            .map_err(|error| Failure::new(exit::FAILED, format!("cannot write {}: {error}", file.display())))?;
        let file = file.display().to_string();
        if cli.json {
            render::json(&Document { file: Some(file), ..nothing });
        } else {
            render::line(file);
        }
    } else if cli.json {
        render::json(&Document { schema: Some(text), ..nothing });
    } else {
        render::line(text.trim_end());
    }
    Ok(exit::DONE)
}

/// The database that is meant: that of the URL, or the cluster's on its primary.
pub(super) async fn origin<'a>(cli: &Cli, url: Option<&str>, ground: &'a mut Ground) -> Result<Origin<'a>, Failure> {
    if let Some(url) = url {
        let external = External::parse(url, |name| std::env::var(name).ok())?;
        // What the tools are made ready with, when they are wanted.
        ground.engine = Engine::connect().await.ok();
        return Ok(Origin::external(ground.engine.as_ref(), &external).await?);
    }
    let context = ground.context.insert(Context::open(cli, Reach::Published).await?);
    let observed = context.observe().await?;
    let node = context.find("primary", &observed)?;
    Ok(Origin::node(&context.site, &node.name, node.port, Role::Primary, None).await?)
}

async fn read(cli: &Cli, url: Option<&str>) -> Result<String, Failure> {
    let mut ground = Ground::default();
    let Origin { session, tools, database, .. } = origin(cli, url, &mut ground).await?;
    let (reading, tools) =
        try_join(async { Ok(Reading::begin(session, None).await?) }, async { Ok::<_, BackupError>(tools.await?) })
            .await?;
    Ok(ddl::write(&reading, &tools, &database).await?)
}

fn difference(committed: &str, text: &str, file: &Path) -> String {
    let diff = TextDiff::from_lines(committed, text);
    diff.unified_diff().context_radius(3).header(&file.display().to_string(), "the database").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_unified_diff() {
        let diff = difference("a\nb\nc\n", "a\nx\nc\n", Path::new("schema.sql"));
        assert_eq!(diff, "--- schema.sql\n+++ the database\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    }
}
