//! The user's own pack: applied on both sides, refused when it was tampered with.

use crate::world::{World, write};

const FIRST: &str = "create schema shop;\ncreate table shop.item (id int primary key, name text);\n";
const HYPER: &str = "create schema shop_chunks;
create table shop.sale (at timestamptz not null, id int not null, primary key (id, at));
select create_hypertable('shop.sale', 'at', chunk_time_interval => interval '1 day',
  associated_schema_name => 'shop_chunks');
";

#[test]
fn a_pack_of_the_users_own_is_applied_on_both_sides_and_never_silently_changed() {
    let world = World::new("packs: [./shop]\n");
    write(
        &world,
        "shop/pack.yaml",
        "name: shop\ndescription: Items and sales\npublished: [shop]\nchunk_schemas: [shop_chunks]\n\
         schemas: [shop, shop_chunks]\n",
    );
    write(&world, "shop/001_items.sql", FIRST);
    write(&world, "shop/002_sales.sql", HYPER);
    world.ok(&["up"]);
    assert_eq!(world.status()["health"], "healthy");

    // One more migration, on a cluster that replicates: the subscriber first, then the publisher.
    price_is_begun_by_hypertide(&world);
    write(&world, "shop/004_stock.sql", "create table shop.stock (id int primary key, pieces int);\n");
    let states = world.json(&["schema", "status"]).to_string();
    assert_eq!(states.matches("\"pending\"").count(), 4, "{states}");
    world.ok(&["schema", "apply"]);
    let states = world.json(&["schema", "status"]).to_string();
    assert_eq!(states.matches("\"applied\"").count(), 8, "{states}");
    world.eventually("the new table is subscribed", || world.status()["health"] == "healthy");
    world.sql(
        "primary",
        "insert into shop.item values (1, 'tea', 3.5); insert into shop.stock values (1, 9);
        insert into shop.sale select now() - i * interval '1 hour', i from generate_series(1, 100) i",
    );
    for table in ["shop.item", "shop.stock", "shop.sale"] {
        world.eventually_equal(table, "primary", "replica");
    }
    world.is_converged();

    a_table_without_identity_is_refused_whole(&world);
    a_changed_migration_is_refused(&world);
    a_missing_one_too(&world);
    and_one_out_of_order(&world);
    let trading = World::new("").json(&["up", "--plan"]).to_string();
    assert!(!trading.contains("008_compression"), "community parts are not planned on an unknown edition");
}

/// `schema new` writes a file that is applied as it is once a statement is added.
fn price_is_begun_by_hypertide(world: &World) {
    let begun = world.json(&["schema", "new", "price", "--dir", "shop"]);
    let file = begun["file"].as_str().unwrap();
    assert!(file.ends_with("shop/003_price.sql"), "{begun}");
    let path = world.dir.path().join("shop/003_price.sql");
    let head = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, head + "alter table shop.item add column price numeric;\n").unwrap();
    for (name, dir) in [("no name", "shop"), ("more", "."), ("more", "nowhere")] {
        let run = world.run(&["schema", "new", name, "--dir", dir]);
        assert!(run.code == 2 && run.stderr.contains("help:"), "{name} {dir}: {} {}", run.code, run.stderr);
    }
}

fn refusal(world: &World, verb: &[&str], named: &str, reason: &str) {
    let before = world.sql("primary", "select count(*), max(number) from hypertide.schema_migrations");
    let run = world.run(verb);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(named) && run.stderr.contains("help:"), "{}", run.stderr);
    let after = world.sql("primary", "select count(*), max(number) from hypertide.schema_migrations");
    assert_eq!(before, after, "nothing was applied");
    assert!(world.status().to_string().contains(reason) || reason.is_empty(), "{}", world.status());
}

fn a_table_without_identity_is_refused_whole(world: &World) {
    write(
        world,
        "shop/005_loose.sql",
        "create table shop.fine (id int primary key);\ncreate table shop.loose (a int);\n",
    );
    refusal(world, &["up"], "shop.loose", "");
    assert_eq!(world.sql("primary", "select to_regclass('shop.fine')"), "", "the migration is rolled back whole");
    std::fs::remove_file(world.dir.path().join("shop/005_loose.sql")).unwrap();
    world.ok(&["up"]);
}

fn a_changed_migration_is_refused(world: &World) {
    write(world, "shop/001_items.sql", &format!("{FIRST}-- changed\n"));
    refusal(world, &["up"], "shop/001_items", "changed");
    refusal(world, &["schema", "apply"], "shop/001_items", "changed");
    write(world, "shop/001_items.sql", FIRST);
}

fn a_missing_one_too(world: &World) {
    let path = world.dir.path().join("shop/003_price.sql");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    refusal(world, &["up"], "shop/003_price", "missing");
    std::fs::write(&path, text).unwrap();
}

fn and_one_out_of_order(world: &World) {
    write(world, "shop/006_late.sql", "create table shop.late (id int primary key);\n");
    world.ok(&["up"]);
    write(world, "shop/005_early.sql", "create table shop.early (id int primary key);\n");
    refusal(world, &["up"], "shop/005_early", "out_of_order");
    std::fs::remove_file(world.dir.path().join("shop/005_early.sql")).unwrap();
    world.ok(&["up"]);
    world.is_converged();
}
