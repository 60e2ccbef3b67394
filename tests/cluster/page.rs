//! The status page in a browser, of a cluster that another test has.

use crate::browser::Browser;
use crate::world::World;

const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1280, 900);

/// What the page says of the bar that [`something_is_found`] writes.
const FOUND: &str = "STALE";

/// A job of the pack finds a bar that is too old.
pub fn something_is_found(world: &World) {
    world.sql(
        "primary",
        &format!(
            "insert into trading.market_data values (now() - interval '3 days', '{FOUND}', 10, 12, 9, 10, 100, 'x')"
        ),
    );
    let ran = world.json(&["jobs", "run", "trading.freshness"]);
    assert_eq!(ran["findings"]["list"][0]["object"], FOUND, "{ran}");
    // No agent needs to have seen a job before it is run by hand.
    let listed = world.json(&["jobs", "list"]);
    let jobs = listed["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["name"] == "trading.freshness").unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((job["pack"].as_str(), job["last_result"].as_str()), (Some("trading"), Some("succeeded")), "{listed}");
}

/// Opens the page of a cluster that is well, and leaves it open.
pub fn shows_a_healthy_cluster(world: &World) -> Browser {
    let mut browser = Browser::start();
    browser.look(PHONE, "light");
    browser.open(&format!("http://127.0.0.1:{}/", world.agent_port));
    browser.wait_for("it is live", "document.getElementById('live').textContent === 'live'");
    browser.wait_for("all is well", "document.querySelector('.health').innerText.includes('healthy')");
    let cards = browser.value("[...document.querySelectorAll('.node')].map(card => card.innerText.split('\\n')[0])");
    assert_eq!(cards, serde_json::json!(["primary-1", "replica-1"]));
    let role = browser.value("document.querySelector('.replicas .badge').innerText");
    assert!(role.as_str().is_some_and(|role| role.contains("subscriber")), "{role}");
    browser.wait_for(
        "what jobs found is told",
        &format!("document.getElementById('findings')?.innerText.includes('{FOUND}')"),
    );
    assert!(browser.value("document.title").as_str().unwrap().contains(&world.cluster));
    browser.is_legible();
    browser.keep_picture("healthy-phone-light", PHONE, "light");
    browser.keep_picture("healthy-desktop-dark", DESKTOP, "dark");
    can_be_used_without_a_mouse(&mut browser);
    can_be_read_without_scripts(world);
    browser.value("window.isTheSame = true");
    browser
}

fn can_be_used_without_a_mouse(browser: &mut Browser) {
    browser.value("document.activeElement.blur()");
    let mut reached = Vec::new();
    for _ in 0..12 {
        browser.tab();
        let outline = "document.activeElement.tagName === 'A' && getComputedStyle(document.activeElement).outlineStyle";
        if browser.value(outline) == "solid" {
            let href = browser.value("document.activeElement.getAttribute('href')");
            reached.push(href.as_str().unwrap().to_owned());
        }
    }
    assert_eq!(reached.first().map(String::as_str), Some("#main"), "{reached:?}");
    assert!(reached.iter().any(|href| href == "/metrics"), "{reached:?}");
}

fn can_be_read_without_scripts(world: &World) {
    let mut browser = Browser::start();
    browser.run_scripts(false);
    browser.look(PHONE, "light");
    browser.open(&format!("http://127.0.0.1:{}/", world.agent_port));
    let text = browser.value("document.querySelector('main').innerText");
    for wanted in ["healthy", "primary-1", "replica-1", "there is nothing to do"] {
        assert!(text.as_str().unwrap().contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(browser.value("document.querySelectorAll('meta[http-equiv=refresh]').length"), 1);
}

/// The open page follows: a replica is frozen.
pub fn follows_a_replica_that_is_away(browser: &mut Browser) {
    browser.wait_for("the page follows", "document.querySelector('.health').innerText.includes('degraded')");
    browser.wait_for("it names the hold", "document.getElementById('holds').innerText.includes('replica-1')");
    browser
        .wait_for("and what is not known", "document.querySelector('.replicas').innerText.includes('role not known')");
    assert_eq!(browser.value("window.isTheSame"), true, "it was not loaded again");
    browser.is_legible();
    browser.keep_picture("degraded-phone-light", PHONE, "light");
    browser.keep_picture("degraded-phone-dark", PHONE, "dark");
    browser.keep_picture("degraded-desktop-light", DESKTOP, "light");
}

/// The open page follows: nobody takes writes.
pub fn follows_a_primary_that_is_away(browser: &mut Browser) {
    browser.wait_for("the page follows", "document.querySelector('.health').innerText.includes('down')");
    browser.wait_for("it says what is the case", "document.getElementById('sentence').innerText.startsWith('No node')");
}

/// The agent is gone, and the open page says that it shows the past.
pub fn says_that_nobody_answers(browser: &mut Browser) {
    browser.wait_for("the page says that it is old", "!document.getElementById('lost').hidden");
    browser.wait_for("also in its title", "document.title.startsWith('? not known')");
    browser.keep_picture("lost-phone-light", PHONE, "light");
    assert_eq!(browser.value("window.isTheSame"), true);
}
