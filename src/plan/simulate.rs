//! The proof of the planner: a world of plain values, what every step does to it, and what must hold in it.
//!
//! `world` is what there is, `look` what an observation shows of it, `act` and `sql` what a step changes, `time` what
//! moves by itself, `events` what people, applications and accidents do. The rest are the properties.

mod act;
mod convergence;
pub mod endpoint;
mod events;
pub mod generate;
mod look;
pub mod monitoring;
mod outside;
mod paused;
mod removing;
mod safety;
mod sql;
mod succession;
pub mod time;
mod waiting;
pub mod world;

pub use convergence::finished;
pub use events::Event;

use act::Run;
use world::World;

use super::hold::Hold;
use super::step::{Plan, Step};
use super::{Wanted, remit, topology};
use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::pack::Pack;

/// More passes than any start needs; reaching it means going round in circles.
const MOST_PASSES: usize = 12;

/// A cluster under test: what is wanted, and the world it is to come true in.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub world: World,
    pub desired: Desired,
    pub packs: Vec<Pack>,
    /// The digest of the wanted agent.
    pub agent: Option<String>,
}

/// In which order the lanes of a stage come to run: a source of choices, always the same for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Order(pub u64);

/// One thing that happens in a cluster's life.
#[derive(Clone, Debug)]
pub enum Action {
    /// `up` runs one pass, to the end or until it is killed after, or within, a step.
    Pass { order: u64, cut: Option<usize>, is_halfway: bool },
    /// The agent runs one pass.
    AgentPass { order: u64, cut: Option<usize> },
    /// Time passes.
    Settle,
    /// Something happens from outside.
    Event(Event),
}

impl Order {
    /// The first lane always: the order of `Plan::steps`.
    pub const LINEAR: Self = Self(0);

    fn choose(&mut self, among: usize) -> usize {
        if self.0 == 0 {
            return 0;
        }
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 1;
        usize::try_from(self.0 >> 33).unwrap_or_default() % among
    }

    /// The plan's steps, one after the other, as lanes that run side by side could have taken them.
    fn steps(mut self, plan: &Plan) -> Vec<Step> {
        let mut steps = Vec::new();
        for stage in &plan.stages {
            let mut lanes: Vec<_> = stage.lanes.iter().map(|lane| lane.iter().peekable()).collect();
            loop {
                lanes.retain_mut(|lane| lane.peek().is_some());
                if lanes.is_empty() {
                    break;
                }
                let lane = self.choose(lanes.len());
                steps.extend(lanes[lane].next().cloned());
            }
        }
        steps
    }
}

impl Cluster {
    /// What `up` sees.
    pub fn observe(&self) -> Observed {
        look::observe(&self.world, &self.desired, Some(&self.packs))
    }

    pub fn plan_of(&self, observed: &Observed) -> Plan {
        let wanted = Wanted { desired: &self.desired, packs: Some(&self.packs), agent: self.agent.as_deref() };
        super::plan(&wanted, observed)
    }

    /// What `up` would do now.
    pub fn plan(&self) -> Plan {
        self.plan_of(&self.observe())
    }

    /// What the agent sees and plans, before its remit is applied.
    pub fn agents_plan(&self) -> Plan {
        let observed = look::observe(&self.world, &self.desired, None);
        super::plan(&Wanted { desired: &self.desired, packs: None, agent: None }, &observed)
    }

    /// Takes the steps of a plan, all or some. No step of a plan made from this very world may fail.
    pub fn run(&mut self, plan: &Plan, order: Order, cut: Option<usize>, is_halfway: bool) -> Result<(), String> {
        let nodes = topology::nodes(&self.desired, &self.observe());
        let salt = self.world.next();
        let packs = self.packs.clone();
        let run = Run { desired: &self.desired, packs: &packs, is_published: act::is_published(&nodes), salt };
        let steps = order.steps(plan);
        let length = cut.map_or(steps.len(), |cut| cut % (steps.len() + 1));
        for step in &steps[..length] {
            act::simulate(&mut self.world, step, &run).map_err(|why| format!("could not {step}: {why}"))?;
        }
        if is_halfway && let Some(next) = steps.get(length) {
            act::simulate_half(&mut self.world, next);
        }
        Ok(())
    }

    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Pass { order, cut, is_halfway } => {
                let plan = self.plan();
                self.run(&plan, Order(*order), *cut, *is_halfway)
            }
            Action::AgentPass { order, cut } => {
                let plan = remit::agent(self.agents_plan());
                self.run(&plan, Order(*order), *cut, false)
            }
            Action::Settle => {
                time::settle(&mut self.world);
                Ok(())
            }
            Action::Event(event) => {
                event.happen(self);
                Ok(())
            }
        }
    }

    /// Runs passes until nothing is left to do and what passes by itself has passed; gives back what stays held.
    pub fn converge(&mut self, mut order: Order) -> Result<Vec<Hold>, String> {
        for _ in 0..MOST_PASSES {
            let plan = self.plan();
            if plan.steps().next().is_none() {
                let before = self.world.clone();
                time::settle(&mut self.world);
                if plan.holds.is_empty() || self.world == before {
                    return Ok(plan.holds);
                }
                continue;
            }
            self.run(&plan, order, None, false)?;
            if order.choose(2) == 1 {
                time::settle(&mut self.world);
            }
        }
        Err(format!("still not done after {MOST_PASSES} passes; next would be {:#?}", self.plan()))
    }
}
