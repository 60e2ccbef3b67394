//! Does the image hold what it should, and does the data land on the cluster's volumes?

use super::facts::{ContainerExam, DataPlace, Examined, ImageSeen, MountSeen, NodeExam};
use super::{Check, Finding};
use crate::model::desired::Desired;
use crate::model::observed::ImageFacts;
use crate::model::seen::Seen;
use crate::plan::container::volume_mismatch;
use crate::plan::hold::Reason;
use crate::plan::image::ImagePlan;

/// From this major on, docker-library's images keep data at another place
/// (<https://github.com/docker-library/postgres/pull/1259>).
const MOVED_DATA_MAJOR: u32 = 18;

/// The image nodes are to run.
pub fn image(image: &Seen<ImageSeen>, place: DataPlace) -> Vec<Finding> {
    match image {
        Seen::Absent => Vec::new(),
        Seen::Unknown { because } => vec![Finding::problem(
            Check::Image,
            format!("the image could not be looked at: {because}"),
            "see that the Docker engine runs and has room on its disk",
        )],
        Seen::Present(ImageSeen::Elsewhere(plan)) => {
            let how = match plan {
                ImagePlan::Use { reference } => format!("{reference} is being brought to this host"),
                ImagePlan::Pull { reference, or_build: true } => {
                    format!("no image is on this host yet; `hypertide up` pulls {reference}, or else builds its own")
                }
                ImagePlan::Pull { reference, or_build: false } => {
                    format!("{reference} is not on this host yet; `hypertide up` pulls it")
                }
                ImagePlan::Build => "no image is on this host yet; `hypertide up` builds its own".to_owned(),
            };
            vec![Finding::ok(Check::Image, how)]
        }
        Seen::Present(ImageSeen::Local { facts, tags, volumes, pgdata }) => {
            let name = tags.first().unwrap_or(&facts.reference);
            local(name, facts, volumes, pgdata.as_deref(), place)
        }
    }
}

fn local(name: &str, facts: &ImageFacts, volumes: &[String], pgdata: Option<&str>, place: DataPlace) -> Vec<Finding> {
    let refuse = |reason: Reason| {
        let help = reason.help().unwrap_or_default();
        Finding::problem(Check::Image, format!("{name}: {reason}"), help)
    };
    let Some(major) = facts.postgres_major else { return vec![refuse(Reason::ImageWithoutPostgres)] };
    let mut findings = Vec::new();
    if facts.timescaledb.is_none() {
        findings.push(refuse(Reason::ImageWithoutTimescale));
    }
    let elsewhere = volumes.iter().find(|volume| volume.as_str() != place.volume);
    if major >= MOVED_DATA_MAJOR || elsewhere.is_some() {
        let declared = elsewhere.map_or(String::new(), |volume| format!(", declares its volume at {volume}"));
        let kept = pgdata.map_or(String::new(), |pgdata| format!(" and keeps data in {pgdata}"));
        findings.push(Finding::problem(
            Check::Image,
            format!(
                "wrong volume path: {name} holds PostgreSQL {major}{declared}{kept}, while nodes have their volume at {}; \
                 data would land in an anonymous volume",
                place.volume
            ),
            "use an image of PostgreSQL 17 or older that keeps its data there, or `image: auto` \
             (docker-library/postgres#1400)",
        ));
    }
    if let (true, Some(version)) = (findings.is_empty(), &facts.timescaledb) {
        let text = format!("{name} holds PostgreSQL {major} and TimescaleDB {version}");
        findings.push(Finding::ok(Check::Image, text));
    }
    findings
}

/// Volumes against the image, and what the nodes' containers really have mounted.
pub fn volumes(examined: &Examined, desired: &Desired) -> Vec<Finding> {
    let mut findings: Vec<Finding> = mismatches(examined).collect();
    for NodeExam { name, container, .. } in &examined.nodes {
        let volume = desired.cluster.volume(name);
        match container {
            Seen::Absent => {}
            Seen::Unknown { because } => findings.push(Finding::warning(
                Check::Volumes,
                format!("{name}: what is mounted cannot be told: {because}"),
                "run `hypertide doctor` again",
            )),
            Seen::Present(container) => {
                let wrong = misplaced(container, &volume, examined.place);
                findings.extend(wrong.into_iter().map(|what| {
                    // Whoever removes a container removes its anonymous volumes too, and `up` may have to.
                    let help = "do not run `up` or `replica` before the data there is copied (`docker cp`): replacing the \
                                container would remove an anonymous volume with it";
                    Finding::problem(Check::Volumes, format!("{name}: {what}"), help)
                }));
            }
        }
    }
    let has_container = examined.nodes.iter().any(|node| node.container.is_present());
    if findings.is_empty() && has_container {
        let text = format!("every node keeps its data on its own named volume at {}", examined.place.volume);
        findings.push(Finding::ok(Check::Volumes, text));
    }
    findings
}

fn mismatches(examined: &Examined) -> impl Iterator<Item = Finding> {
    let image = match &examined.image {
        Seen::Present(ImageSeen::Local { facts, .. }) => Some(facts),
        _ => None,
    };
    let nodes = examined.observed.present().into_iter().flat_map(|observed| &observed.nodes);
    nodes.filter_map(move |(name, node)| {
        let reason = volume_mismatch(node.volume.present().filter(|volume| volume.ours)?, image?)?;
        let help = reason.help().unwrap_or_default();
        Some(Finding::problem(Check::Volumes, format!("{name}: {reason}"), help))
    })
}

/// Everything by which data could be somewhere else than on the named volume.
fn misplaced(container: &ContainerExam, volume: &str, place: DataPlace) -> Vec<String> {
    let mut wrong = Vec::new();
    let at = |mount: &MountSeen| mount.volume.clone().unwrap_or_else(|| "something that is no volume".to_owned());
    match container.mounts.iter().find(|mount| mount.path == place.volume) {
        Some(mount) if mount.volume.as_deref() == Some(volume) => {}
        Some(mount) => wrong.push(format!("{} has {} mounted and not the volume {volume}", place.volume, at(mount))),
        None => wrong.push(format!("the volume {volume} is not mounted at {}", place.volume)),
    }
    let below = format!("{}/", place.volume);
    let hidden = container.mounts.iter().filter(|mount| mount.path.starts_with(&below));
    wrong.extend(hidden.map(|mount| format!("{} is mounted over a part of the data, at {}", at(mount), mount.path)));
    if let Some(pgdata) = container.pgdata.as_deref().filter(|pgdata| *pgdata != place.pgdata) {
        wrong.push(format!("its data directory is {pgdata} and not {}", place.pgdata));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{Ok, Problem, Warning};
    use super::super::testing::{desired, examined, node};
    use super::*;
    use crate::model::observed::{NodeSeen, Observed, VolumeSeen};

    const PLACE: DataPlace =
        DataPlace { volume: "/var/lib/postgresql/data", pgdata: "/var/lib/postgresql/data/pgdata" };

    fn facts(major: Option<u32>, timescaledb: Option<&str>) -> ImageFacts {
        let timescaledb = timescaledb.map(Into::into);
        ImageFacts { reference: "sha256:f".into(), id: "sha256:f".into(), postgres_major: major, timescaledb }
    }

    fn local(facts: ImageFacts, volume: &str) -> Seen<ImageSeen> {
        let volumes = if volume.is_empty() { Vec::new() } else { vec![volume.to_owned()] };
        let pgdata = Some("/var/lib/postgresql/18/docker".to_owned());
        Seen::Present(ImageSeen::Local { facts, tags: vec!["a/b:1".into()], volumes, pgdata })
    }

    #[test]
    fn every_image_is_judged_by_what_is_in_it_and_where_it_keeps_data() {
        let good = || facts(Some(17), Some("2.29.2"));
        let pull = |or_build| ImagePlan::Pull { reference: "a/b:1".into(), or_build };
        let plans = |plan| Seen::Present(ImageSeen::Elsewhere(plan));
        let table = [
            (local(good(), PLACE.volume), Ok, "a/b:1 holds PostgreSQL 17 and TimescaleDB 2.29.2"),
            (local(good(), ""), Ok, "holds PostgreSQL 17"),
            (local(facts(None, None), ""), Problem, "a/b:1: the image holds no PostgreSQL server"),
            (local(facts(Some(17), None), PLACE.volume), Problem, "a/b:1: the image lacks the TimescaleDB library"),
            (
                local(facts(Some(18), Some("2.29.2")), PLACE.volume),
                Problem,
                "wrong volume path: a/b:1 holds PostgreSQL 18",
            ),
            (
                local(good(), "/var/lib/postgresql"),
                Problem,
                "declares its volume at /var/lib/postgresql and keeps data in /var/lib/postgresql/18/docker",
            ),
            (plans(pull(true)), Ok, "pulls a/b:1, or else builds"),
            (plans(pull(false)), Ok, "a/b:1 is not on this host yet; `hypertide up` pulls it"),
            (plans(ImagePlan::Build), Ok, "builds its own"),
            (plans(ImagePlan::Use { reference: "a/b:1".into() }), Ok, "being brought"),
            (Seen::unknown("odd"), Problem, "could not be looked at: odd"),
        ];
        for (seen, severity, text) in table {
            let found = image(&seen, PLACE);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].severity, found[0].text.contains(text)), (severity, true), "{found:?}");
        }
        assert_eq!(image(&Seen::Absent, PLACE), []);
    }

    #[test]
    fn both_the_missing_extension_and_the_wrong_place_are_told() {
        assert_eq!(image(&local(facts(Some(18), None), "/var/lib/postgresql"), PLACE).len(), 2);
    }

    #[test]
    fn data_belongs_on_the_named_volume_and_nowhere_else() {
        let desired = desired("");
        let mount = |volume: Option<&str>, path: &str| MountSeen { volume: volume.map(Into::into), path: path.into() };
        let named = desired.cluster.volume(&node("n-1", &desired).name);
        let good = mount(Some(&named), PLACE.volume);
        let table: [(Vec<MountSeen>, Option<&str>, &[&str]); 6] = [
            (vec![good.clone(), mount(Some("x"), "/other")], Some(PLACE.pgdata), &[]),
            (vec![], None, &["is not mounted at /var/lib/postgresql/data"]),
            (vec![mount(Some("6a1f"), PLACE.volume)], None, &["has 6a1f mounted and not the volume"]),
            (vec![mount(None, PLACE.volume)], None, &["something that is no volume"]),
            (vec![good.clone(), mount(Some("6a1f"), PLACE.pgdata)], None, &["6a1f is mounted over a part of the data"]),
            (
                vec![good],
                Some("/var/lib/postgresql/18/docker"),
                &["its data directory is /var/lib/postgresql/18/docker"],
            ),
        ];
        for (mounts, pgdata, wanted) in table {
            let mut examined = examined();
            let mut node = node("n-1", &desired);
            let container = node.container.present_mut().expect("the fixture has one");
            (container.mounts, container.pgdata) = (mounts, pgdata.map(Into::into));
            examined.nodes = vec![node];
            let found = volumes(&examined, &desired);
            let problems: Vec<_> = found.iter().filter(|finding| finding.severity == Problem).collect();
            assert_eq!(problems.len(), wanted.len(), "{found:?}");
            for (problem, text) in problems.iter().zip(wanted) {
                assert!(problem.text.contains(text), "{problem:?}");
            }
            assert_eq!(found.len(), 1);
        }
    }

    #[test]
    fn a_volume_of_another_version_is_a_problem() {
        let mut examined = examined();
        let volume = |major, timescaledb: &str| VolumeSeen {
            ours: true,
            seat: None,
            port: None,
            postgres_major: Some(major),
            timescaledb: Some(timescaledb.into()),
        };
        let node = |volume| NodeSeen { volume: Seen::Present(volume), ..NodeSeen::default() };
        let mut observed = Observed::default();
        for (name, volume) in [("a", volume(16, "2.29.2")), ("b", volume(17, "2.19.3")), ("c", volume(17, "2.29.2"))] {
            observed.nodes.insert(crate::model::names::NodeName::new(name).expect("valid"), node(volume));
        }
        examined.observed = Seen::Present(observed);
        examined.image = local(facts(Some(17), Some("2.29.2")), PLACE.volume);
        let texts: Vec<_> = volumes(&examined, &desired("")).into_iter().map(|finding| finding.text).collect();
        assert_eq!(
            texts,
            [
                "a: the volume was made by PostgreSQL 16, the image holds 17",
                "b: the volume was made with TimescaleDB 2.19.3, the image holds 2.29.2"
            ]
        );
    }

    #[test]
    fn nothing_is_said_of_volumes_that_are_not_there_and_a_failed_look_is_told() {
        let mut examined = examined();
        assert_eq!(volumes(&examined, &desired("")), []);
        examined.nodes = vec![NodeExam { container: Seen::unknown("odd"), ..node("n-1", &desired("")) }];
        assert_eq!(volumes(&examined, &desired(""))[0].severity, Warning);
    }
}
