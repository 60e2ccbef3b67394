//! What a logical replica gives out after a promotion was not given out before.

use crate::world::World;

/// Of every kind, and one that the replica lacks; the table comes in by replication once it is on both sides.
const OBJECTS: &str = "set transaction read write;
    create table trading.counted (id bigint generated always as identity primary key, number serial, word text);
    create sequence trading.\"Order \"\"No\"\" 'x'\";
    create sequence trading.down increment -5;
    create sequence trading.unused;
    create sequence public.elsewhere";

/// What the next values are, without taking them.
const NEXT: &str = "select (select last_value + is_called::int from trading.counted_id_seq),
    (select last_value + is_called::int from trading.counted_number_seq),
    (select last_value + is_called::int from trading.\"Order \"\"No\"\" 'x'\"),
    (select last_value - 5 * is_called::int from trading.down),
    (select last_value + is_called::int from trading.unused),
    (select last_value + is_called::int from public.elsewhere)";

fn next(world: &World, node: &str) -> Vec<i64> {
    world.sql(node, NEXT).split('|').map(|value| value.parse().unwrap()).collect()
}

#[tokio::test]
async fn sequences_of_a_logical_replica_stay_ahead_of_the_primarys() {
    let world = World::new("");
    world.ok(&["up"]);
    for node in ["primary", "replica"] {
        world.sql(node, OBJECTS);
    }
    world.sql("primary", "create sequence trading.one_side_only; select nextval('trading.one_side_only')");
    let take = "insert into trading.counted (word) select 'w' from generate_series(1, 70);
        select nextval('trading.\"Order \"\"No\"\" ''x''\"'), nextval('trading.down'), nextval('public.elsewhere')
        from generate_series(1, 40)";
    world.sql("primary", take);
    assert_eq!(next(&world, "primary"), [71, 71, 41, -201, 1, 41]);

    let is_ahead = || {
        let (theirs, ours) = (next(&world, "primary"), next(&world, "replica"));
        ours[0] >= theirs[0] && ours[1] >= theirs[1] && ours[2] >= theirs[2] && ours[3] <= theirs[3]
    };
    world.eventually("the replica's sequences are ahead", is_ahead);
    assert_eq!(next(&world, "replica")[4..], [1, 1], "one that was never used, and one that is not published");
    world.eventually("the table replicates", || world.status()["health"] == "healthy");
    world.is_converged();

    // The next value is none that the primary gave out; what was set stays when the transaction does not.
    let given = "select string_agg(id::text, ',') from trading.counted";
    let given = world.sql("primary", given);
    let value = world.sql(
        "replica",
        "begin read write; select nextval('trading.counted_id_seq') not in (select id from trading.counted); rollback",
    );
    assert_eq!(value, "t", "{given}");

    // A busy sequence is followed further, and never set back.
    world.sql("primary", "select setval('trading.counted_id_seq', 5000000)");
    world.eventually("the replica's sequences are ahead again", is_ahead);
    world.sql("primary", "select setval('trading.counted_id_seq', 100)");
    let before = next(&world, "replica")[0];
    world.sql("primary", "select setval('trading.down', -1000000)");
    world.eventually("the other one is set", is_ahead);
    assert_eq!(next(&world, "replica")[0], before);
}
