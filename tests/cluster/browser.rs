//! A headless Chromium of a test's own, led by its debugging protocol over a pipe (<https://chromedevtools.github.io/devtools-protocol/>).
//!
//! One page, which can be looked at in any size, in light and dark, with and without scripts. Ends when it is dropped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long the browser may take for one thing.
const PATIENCE: Duration = Duration::from_mins(1);

/// Its names: Debian's, then those of others.
const PROGRAMS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

/// What the page's text must stand out by against what is behind it (WCAG 2.2, 1.4.3).
const CONTRAST: &str = r"(() => {
  const parse = color => (color.match(/[\d.]+/g) || []).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a === 1 && r !== undefined) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const faults = [];
  let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    if (!walk.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'title'].includes(element.tagName)) continue;
    if (!element.getClientRects().length) continue;
    const color = parse(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(color), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (!(ratio >= 4.5)) faults.push(`${ratio.toFixed(2)}: ${walk.currentNode.data.trim()}`);
  }
  return seen < 20 ? [`only ${seen} texts were found`] : faults;
})()";

pub struct Browser {
    process: Child,
    said: Receiver<Value>,
    session: String,
    next: u64,
    _dir: tempfile::TempDir,
}

impl Browser {
    /// Starts it, with an empty page.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let is_there = |program: &&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|dir| dir.join(program).exists())
        };
        let program = PROGRAMS
            .into_iter()
            .find(is_there)
            .expect("this test needs Chromium, Debian's package `chromium`; .ci/run installs it");
        // It reads its orders from descriptor 3 and answers on 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >&2", "sh", program])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars",
            ])
            .args(["--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (tell, said) = channel();
        let answers = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for text in answers.split(0).map_while(Result::ok) {
                let message: Value = serde_json::from_slice(&text).expect("it speaks JSON");
                if tell.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, said, session: String::new(), next: 0, _dir: dir };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.ask("Page.enable", &json!({}));
        let note = "window.violations = []; \
                    addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective + ' ' + event.blockedURI)); \
                    addEventListener('error', event => violations.push(event.message))";
        browser.ask("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": note }));
        browser
    }

    /// Gives an order and waits for the answer.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut order = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            order["sessionId"] = self.session.clone().into();
        }
        let stdin = self.process.stdin.as_mut().unwrap();
        write!(stdin, "{order}\0").unwrap();
        stdin.flush().unwrap();
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let message = self.said.recv_timeout(left).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.next {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        let opened = self.ask("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait_for("the page is loaded", "document.readyState === 'complete' && location.protocol === 'http:'");
    }

    /// What an expression is in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let answer = self.ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub fn wait_for(&mut self, what: &str, expression: &str) {
        let began = Instant::now();
        while self.value(expression) != true {
            let text = self.value("document.body.innerText");
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}: {expression}\n{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Looks at it in this size and scheme.
    pub fn look(&mut self, (width, height): (u32, u32), scheme: &str) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Scripts run, or not.
    pub fn run_scripts(&mut self, is_on: bool) {
        self.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": !is_on }));
    }

    /// Presses the key that leads from one thing to the next.
    pub fn tab(&mut self) {
        for kind in ["rawKeyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            self.ask("Input.dispatchKeyEvent", &key);
        }
    }

    /// Insists that the page fits, is legible in both schemes, and did nothing that it may not.
    pub fn is_legible(&mut self) {
        for scheme in ["light", "dark"] {
            for size in [(360, 740), (1280, 900)] {
                self.look(size, scheme);
                let widths = self.value("[document.documentElement.scrollWidth, innerWidth]");
                assert!(widths[0].as_u64() <= Some(size.0.into()), "{size:?}: {widths} has to be scrolled sideways");
                assert_eq!(self.value(CONTRAST), json!([]), "{scheme} {size:?}");
            }
        }
        assert_eq!(self.value("window.violations"), json!([]));
    }

    /// Keeps a picture of the whole page in this size and scheme, for people: CI does.
    pub fn keep_picture(&mut self, name: &str, size: (u32, u32), scheme: &str) {
        self.look(size, scheme);
        let height = self.value("document.documentElement.scrollHeight").as_u64().unwrap().max(size.1.into());
        let clip = json!({ "x": 0, "y": 0, "width": size.0, "height": height, "scale": 1 });
        let taken = self.ask("Page.captureScreenshot", &json!({ "captureBeyondViewport": true, "clip": clip }));
        let picture = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}: {} bytes", picture.len());
        let dir = pictures();
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), picture).unwrap();
    }
}

/// Where pictures are kept.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots")
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
