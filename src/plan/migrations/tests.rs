//! The decision table, and that applying what it says always comes to an end.

use proptest::prelude::*;

use super::*;
use crate::model::pack::Needs;

const APACHE: Ground = Ground { edition: Some(Edition::Apache), has_logical_replica: false };
const COMMUNITY: Ground = Ground { edition: Some(Edition::Community), has_logical_replica: false };
const COMMUNITY_WITH_LOGICAL: Ground = Ground { edition: Some(Edition::Community), has_logical_replica: true };

fn id(pack: &str, number: u32) -> MigrationId {
    MigrationId { pack: pack.to_owned(), number, what: format!("step{number}") }
}

fn pack(name: &str, migrations: &[(u32, &str)]) -> Pack {
    Pack {
        name: name.to_owned(),
        description: String::new(),
        published: Vec::new(),
        chunk_schemas: Vec::new(),
        schemas: Vec::new(),
        migrations: migrations
            .iter()
            .map(|(number, needs)| Migration {
                id: id(name, *number),
                checksum: format!("sum{number}"),
                needs: Needs { community: needs.contains('c'), no_logical_replica: needs.contains('l') },
                is_primary_first: false,
                sql: "select 1".to_owned(),
            })
            .collect(),
    }
}

fn row(pack: &str, number: u32) -> AppliedMigration {
    AppliedMigration { id: id(pack, number), checksum: format!("sum{number}") }
}

fn rows(numbers: &[u32]) -> Applied {
    numbers.iter().map(|&number| row("p", number)).collect()
}

/// One line per migration: its number and what is to happen to it.
fn told(migrations: &[(u32, &str)], recorded: &[u32], ground: Ground) -> String {
    states(&[pack("p", migrations)], &rows(recorded), ground)
        .iter()
        .map(|(id, state)| match state {
            State::Held(because) => format!("{} {}", id.number, because.label()),
            State::Refused(refusal) => format!("{} {}", id.number, refusal.label()),
            other => format!("{} {}", id.number, other.label()),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The pack's numbers and needs, the numbers recorded, the ground, and what is told.
type Case<'a> = (&'a [(u32, &'a str)], &'a [u32], Ground, &'a str);

#[test]
fn the_decision_table() {
    let plain = [(1, ""), (2, ""), (4, "")];
    let late = [(1, ""), (2, "cl"), (3, "")];
    let cases: [Case; 9] = [
        (&plain, &[], APACHE, "1 pending, 2 pending, 4 pending"),
        (&plain, &[1, 2], APACHE, "1 applied, 2 applied, 4 pending"),
        (&plain, &[1, 4], APACHE, "1 applied, 2 out_of_order, 4 applied"),
        (&plain, &[1, 3], APACHE, "1 applied, 2 out_of_order, 3 missing, 4 pending"),
        (&late, &[1], APACHE, "1 applied, 2 needs_community, 3 pending"),
        (&late, &[1, 3], APACHE, "1 applied, 2 needs_community, 3 applied"),
        (&late, &[1, 3], COMMUNITY_WITH_LOGICAL, "1 applied, 2 needs_no_logical_replica, 3 applied"),
        (&late, &[1, 3], COMMUNITY, "1 applied, 2 pending, 3 applied"),
        (&late, &[1, 2], APACHE, "1 applied, 2 applied, 3 pending"),
    ];
    for (migrations, recorded, ground, expected) in cases {
        assert_eq!(
            told(migrations, recorded, ground),
            expected,
            "{migrations:?} with {recorded:?} recorded on {ground:?}"
        );
    }
}

#[test]
fn an_unknown_edition_holds_what_needs_community() {
    let ground = Ground { edition: None, has_logical_replica: false };
    let verdict = compare(&[pack("p", &[(1, "c")])], &Vec::new(), ground);
    assert_eq!(verdict.held, [(id("p", 1), HeldBecause::NeedsCommunity)]);
    assert!(verdict.to_apply.is_empty());
}

#[test]
fn an_edited_migration_refuses_its_pack_and_no_other() {
    let packs = [pack("p", &[(1, ""), (2, "")]), pack("q", &[(1, "")])];
    let mut applied = rows(&[1]);
    applied[0].checksum = "another".to_owned();
    let verdict = compare(&packs, &applied, APACHE);
    assert_eq!(verdict.to_apply, [id("q", 1)]);
    assert_eq!(
        verdict.refused,
        [Refusal::Changed { id: id("p", 1), recorded: "another".to_owned(), found: "sum1".to_owned() }]
    );
}

#[test]
fn a_renamed_file_with_the_same_bytes_is_the_same_migration() {
    let mut applied = rows(&[1]);
    applied[0].id.what = "old_words".to_owned();
    let verdict = compare(&[pack("p", &[(1, "")])], &applied, APACHE);
    assert_eq!(verdict, Migrations::default());
}

#[test]
fn a_pack_that_is_configured_no_longer_is_left_alone() {
    assert_eq!(compare(&[pack("q", &[])], &rows(&[1, 2]), APACHE), Migrations::default());
}

#[test]
fn out_of_order_names_the_last_one_applied() {
    let verdict = compare(&[pack("p", &[(1, ""), (2, ""), (3, "")])], &rows(&[2, 3]), APACHE);
    let [refusal] = verdict.refused.as_slice() else {
        panic!("one refusal expected: {verdict:?}");
    };
    assert_eq!(
        refusal.to_string(),
        "p/001_step1 was never applied, and p/003_step3 already is: a new migration needs a higher number"
    );
}

fn any_needs() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just("c"), 1 => Just("l"), 1 => Just("cl")]
}

fn any_packs() -> impl Strategy<Value = Vec<Pack>> {
    let one = proptest::collection::btree_map(1..50_u32, any_needs(), 0..8);
    proptest::collection::vec(one, 1..4).prop_map(|packs| {
        packs
            .into_iter()
            .enumerate()
            .map(|(at, migrations)| {
                let migrations: Vec<_> = migrations.into_iter().collect();
                pack(&format!("p{at}"), &migrations)
            })
            .collect()
    })
}

fn any_ground() -> impl Strategy<Value = Ground> {
    let edition = prop_oneof![Just(None), Just(Some(Edition::Apache)), Just(Some(Edition::Community))];
    (edition, any::<bool>()).prop_map(|(edition, has_logical_replica)| Ground { edition, has_logical_replica })
}

/// Applies at most `steps` of what is to be applied, as an interrupted pass would.
fn apply(packs: &[Pack], applied: &mut Applied, ground: Ground, steps: usize) {
    let to_apply = compare(packs, applied, ground).to_apply;
    for id in to_apply.into_iter().take(steps) {
        let migration = packs
            .iter()
            .flat_map(|pack| &pack.migrations)
            .find(|migration| migration.id == id)
            .expect("compare names migrations of the packs");
        applied.push(AppliedMigration { id, checksum: migration.checksum.clone() });
    }
}

proptest! {
    #[test]
    fn passes_cut_anywhere_on_changing_ground_converge_and_are_never_refused(
        packs in any_packs(),
        passes in proptest::collection::vec((any_ground(), 0..4_usize), 0..8),
        last in any_ground(),
    ) {
        let mut applied = Applied::new();
        for (ground, steps) in passes {
            apply(&packs, &mut applied, ground, steps);
            prop_assert!(compare(&packs, &applied, ground).refused.is_empty());
        }
        apply(&packs, &mut applied, last, usize::MAX);
        let end = compare(&packs, &applied, last);
        prop_assert!(end.to_apply.is_empty() && end.refused.is_empty());

        let mut once: Vec<_> = applied.iter().map(|row| &row.id).collect();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), applied.len(), "nothing is applied twice");
        let all: usize = packs.iter().map(|pack| pack.migrations.len()).sum();
        prop_assert_eq!(applied.len() + end.held.len(), all, "all is applied or held");
    }

    #[test]
    fn the_verdict_and_the_states_agree(
        packs in any_packs(),
        recorded in proptest::collection::btree_set(1..50_u32, 0..6),
        ground in any_ground(),
    ) {
        let applied: Applied = recorded.iter().map(|&number| row("p0", number)).collect();
        let verdict = compare(&packs, &applied, ground);
        let states = states(&packs, &applied, ground);
        let refused_packs: Vec<_> = verdict.refused.iter().map(|refusal| &refusal.id().pack).collect();
        let pending: Vec<_> = states
            .iter()
            .filter(|(id, state)| *state == State::Pending && !refused_packs.contains(&&id.pack))
            .map(|(id, _)| id.clone())
            .collect();
        prop_assert_eq!(pending, verdict.to_apply);
        prop_assert_eq!(
            states.iter().filter(|(_, state)| matches!(state, State::Refused(_))).count(),
            verdict.refused.len()
        );
    }
}
