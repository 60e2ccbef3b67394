//! What is done about Prometheus and Grafana, case by case; that it converges from anywhere is proven in `simulate`.

use super::*;
use crate::model::desired::BasicAuth;
use crate::model::monitoring::Monitoring;
use crate::model::observed::Owned;
use crate::plan::simulate::generate::cluster;

const SECRET: &str = "0123456789abcdef";

fn desired(wish: Wish) -> Desired {
    let desired = cluster(&[], Vec::new()).desired;
    Desired { monitoring: Monitoring { wish, ..Monitoring::default() }, ..desired }
}

fn container(desired: &Desired, monitor: Monitor, state: RunState) -> ContainerSeen {
    let spec = spec(desired, monitor, None).expect("chosen");
    let (image_id, spec) = (spec.image.clone(), spec.digest());
    ContainerSeen { ours: true, id: "1".into(), state, spec, image_id, is_attached: true }
}

/// Both as they are when all is well.
fn running(desired: &Desired) -> Observed {
    let there = |monitor: Monitor| MonitorSeen {
        container: Seen::Present(container(desired, monitor, RunState::Running)),
        volume: Seen::Present(Owned { ours: true }),
        image: Seen::Present(monitor.image().to_owned()),
    };
    Observed { monitors: Monitor::ALL.map(|monitor| (monitor, there(monitor))).into(), ..Observed::default() }
}

fn planned(desired: &Desired, observed: &Observed) -> (Vec<String>, Vec<Hold>) {
    let mut holds = Vec::new();
    let lanes = lanes(desired, observed, &mut holds);
    (lanes.iter().flatten().map(ToString::to_string).collect(), holds)
}

fn seen(observed: &mut Observed, monitor: Monitor) -> &mut MonitorSeen {
    observed.monitors.entry(monitor).or_default()
}

const NOTHING: [&str; 0] = [];

#[test]
fn nobody_who_did_not_ask_gets_anything() {
    assert_eq!(planned(&desired(Wish::AsFound), &Observed::default()), (Vec::new(), Vec::new()));
}

#[test]
fn who_asks_gets_both_with_the_images_that_are_missing_first() {
    let (steps, holds) = planned(&desired(Wish::On), &Observed::default());
    let all = [
        "provide the image prom/prometheus:v3.5.0 for Prometheus",
        "create Prometheus (port 9090)",
        "start Prometheus",
        "provide the image grafana/grafana:12.1.1 for Grafana",
        "create Grafana (port 3000)",
        "start Grafana",
    ];
    assert_eq!((steps.as_slice(), holds), (all.map(str::to_owned).as_slice(), Vec::new()));
}

#[test]
fn what_was_made_once_is_kept_without_being_asked_for_again() {
    let desired = desired(Wish::AsFound);
    assert_eq!(planned(&desired, &running(&desired)), (Vec::new(), Vec::new()));
    let mut stopped = running(&desired);
    seen(&mut stopped, Monitor::Grafana).container =
        Seen::Present(container(&desired, Monitor::Grafana, RunState::Exited));
    assert_eq!(planned(&desired, &stopped).0, ["start Grafana"]);
    // A run was cut off while it replaced the container: the volume remembers.
    let mut cut = running(&desired);
    cut.monitors.remove(&Monitor::Grafana);
    seen(&mut cut, Monitor::Prometheus).container = Seen::Absent;
    assert_eq!(planned(&desired, &cut).0.len(), 5);
}

#[test]
fn only_who_says_so_loses_a_container_and_nobody_a_volume() {
    let mut off = desired(Wish::Off);
    let observed = running(&off);
    let all = [
        "remove the container of Prometheus, keeping its volume",
        "remove the container of Grafana, keeping its volume",
    ];
    assert_eq!(planned(&off, &observed).0, all);
    off.monitoring = Monitoring { wish: Wish::On, grafana: None, ..Monitoring::default() };
    assert_eq!(planned(&off, &observed).0, all[1..]);
}

#[test]
fn another_specification_or_image_is_another_container_and_a_reference_that_is_gone_is_not() {
    let wanted = desired(Wish::On);
    let mut moved = wanted.clone();
    moved.monitoring.prometheus.port = 9999;
    let replaced =
        ["remove the container of Prometheus, keeping its volume", "create Prometheus (port 9999)", "start Prometheus"];
    assert_eq!(planned(&moved, &running(&wanted)).0, replaced);
    let mut observed = running(&wanted);
    seen(&mut observed, Monitor::Grafana).image = Seen::Present("another".into());
    assert_eq!(planned(&wanted, &observed).0.len(), 3);
    seen(&mut observed, Monitor::Grafana).image = Seen::Absent;
    assert_eq!(planned(&wanted, &observed).0, NOTHING);
}

#[test]
fn one_that_never_started_is_made_anew_since_it_may_have_no_files() {
    let desired = desired(Wish::On);
    let mut observed = running(&desired);
    seen(&mut observed, Monitor::Prometheus).container =
        Seen::Present(container(&desired, Monitor::Prometheus, RunState::Created));
    assert_eq!(planned(&desired, &observed).0.len(), 3);
}

#[test]
fn what_is_in_the_way_is_told_and_keeps_nothing_else_from_being_done() {
    let desired = desired(Wish::On);
    let mut observed = Observed::default();
    observed.taken_ports.insert(3000, "process node (pid 7)".into());
    let (steps, holds) = planned(&desired, &observed);
    assert_eq!(steps.len(), 3);
    assert_eq!(holds[0].to_string(), "test-grafana: port 3000 is held by process node (pid 7)");
    let mut foreign = running(&desired);
    for monitor in Monitor::ALL {
        let container = ContainerSeen { ours: false, ..container(&desired, monitor, RunState::Running) };
        seen(&mut foreign, monitor).container = Seen::Present(container);
    }
    let (steps, holds) = planned(&desired, &foreign);
    assert_eq!((steps.len(), holds.len()), (0, 2));
    assert!(holds.iter().all(|hold| !hold.reason.is_refusal() && hold.reason.help().is_some()), "{holds:?}");
}

#[test]
fn nothing_is_done_on_what_could_not_be_seen() {
    let desired = desired(Wish::On);
    let unknown = |change: fn(&mut MonitorSeen)| {
        let mut observed = Observed::default();
        for monitor in Monitor::ALL {
            change(seen(&mut observed, monitor));
        }
        planned(&desired, &observed)
    };
    for change in [
        (|it| it.container = Seen::unknown("a test")) as fn(&mut MonitorSeen),
        |it| it.volume = Seen::unknown("a test"),
        |it| it.image = Seen::unknown("a test"),
    ] {
        let (steps, holds) = unknown(change);
        assert_eq!((steps.len(), holds.len()), (0, 2));
    }
    let network = Observed { network: Seen::unknown("a test"), ..Observed::default() };
    assert_eq!(planned(&desired, &network), (Vec::new(), Vec::new()));
}

#[test]
fn a_password_of_the_agent_is_part_of_prometheus_and_of_nothing_else() {
    let mut desired = desired(Wish::On);
    desired.guard.basic_auth = Some(BasicAuth { username: "p".into(), password_file: "/p".into() });
    let of = |secret| Monitor::ALL.map(|monitor| spec(&desired, monitor, secret).expect("chosen").digest());
    let ([prometheus, grafana], [other, same]) = (of(Some(SECRET)), of(Some("another")));
    assert!(prometheus != other && grafana == same);
    let unreadable = Observed { scrape_secret: Seen::unknown("cannot read /p"), ..Observed::default() };
    let (steps, holds) = planned(&desired, &unreadable);
    assert_eq!((steps.len(), holds.len()), (3, 1), "Grafana needs no password of the agent");
}

#[test]
fn an_agent_that_does_not_answer_is_told() {
    let mut desired = desired(Wish::AsFound);
    let observed = running(&desired);
    desired.metrics = None;
    let (_, holds) = planned(&desired, &observed);
    assert_eq!(holds[0].reason, Reason::Monitoring(Obstacle::NothingToScrape));
}
