//! Every operation × everybody who may call it, as one table that people review: `access_matrix.txt`. Each calls with the ids of the first
//! member's records and with bodies that are right. A new operation without a row fails, and so does a row without an operation. What
//! holds for every row is computed beside it. Practices 15.broken-access-control, 10.object-level.

use crate::support::{
    operations::{Operation, operations},
    provider::Provider,
    world::{AsItWas, Kind, World},
};
use reqwest::Method;
use std::{collections::BTreeMap, fs, path::Path};

const SNAPSHOT: &str = "tests/suite/contract/access_matrix.txt";

const HEAD: &str = "\
# Who gets what: every operation, called by everybody with the ids of the member's records. Compared with what the service does by
# `access_matrix.rs`. A status of the class 2xx or 3xx: it was done. `step-up`: 401, show once more who you are. A plain 401, 403, 404 or
# 422: UNAUTHENTICATED or INVALID_TOKEN, FORBIDDEN, NOT_FOUND, INVALID. Every other refusal by its code.
# `needs` is what the API document says: nothing, a session (or a cookie or a token only), a permission; `+fresh`: a proof of a moment ago.
#
";

struct Cell {
    status: u16,
    code: String,
}

impl Cell {
    fn is_done(&self) -> bool {
        self.status < 400
    }

    fn show(&self) -> String {
        match self.code.as_str() {
            "" | "UNAUTHENTICATED" | "INVALID_TOKEN" | "FORBIDDEN" | "NOT_FOUND" | "INVALID" => self.status.to_string(),
            "STEP_UP_REQUIRED" => "step-up".into(),
            other => other.to_lowercase().replace('_', "-"),
        }
    }
}

struct Row {
    operation: Operation,
    cells: Vec<(Kind, Cell)>,
}

fn needs(operation: &Operation) -> String {
    let who = match operation.permission() {
        Some(permission) => permission,
        None if operation.is_public() => "-",
        None if !operation.takes("bearer") => "cookie",
        None if !operation.takes("session") => "token",
        None => "session",
    };
    format!("{who}{}", if operation.is_fresh() { " +fresh" } else { "" })
}

async fn walk(world: &World<'_>) -> Vec<Row> {
    let mut as_it_was = AsItWas::keep(world.app).await;
    let mut all = operations();
    // what changes nothing first: tokens of sessions that a call ended stay worthless, whatever the database is put back to
    all.sort_by_key(|operation| operation.method != Method::GET);
    let mut rows = Vec::new();
    for operation in all {
        let (url, mut cells) = (world.url(&operation), Vec::new());
        for caller in &world.callers {
            world.prepare(&operation).await;
            let request = world.call(caller.actor(&operation), &operation, &url);
            let answer = as_it_was.after(&operation.method, request).await;
            cells.push((caller.kind, Cell { status: answer.status.as_u16(), code: answer.code() }));
        }
        rows.push(Row { operation, cells });
    }
    rows.sort_by(|a, b| (&a.operation.path, a.operation.method.as_str()).cmp(&(&b.operation.path, b.operation.method.as_str())));
    rows
}

/// The table with its columns aligned, a line an operation.
fn table(rows: &[Row], kinds: &[Kind]) -> String {
    let head: Vec<String> = ["operation", "needs"].into_iter().chain(kinds.iter().map(|kind| kind.name())).map(str::to_owned).collect();
    let lines = rows.iter().map(|row| {
        let first = [row.operation.name(), needs(&row.operation)];
        first.into_iter().chain(row.cells.iter().map(|(_, cell)| cell.show())).collect()
    });
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(lines).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let show = |line: &Vec<String>| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let legend: String = kinds.iter().map(|kind| format!("# {:13} {}\n", kind.name(), kind.about())).collect();
    format!("{HEAD}{legend}\n{}", lines.iter().map(show).collect::<String>())
}

/// The lines by operation, with blanks as one: a wider column is no difference.
fn by_operation(table: &str) -> BTreeMap<String, String> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).map(|words| (words[..2].join(" "), words.join(" "))).collect()
}

/// What must be so whatever the snapshot says.
fn faults(row: &Row) -> Vec<String> {
    let (operation, name) = (&row.operation, row.operation.name());
    let mut faults = Vec::new();
    for (kind, cell) in &row.cells {
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{name}: {what}: {} got {} {}", kind.name(), cell.status, cell.code));
            }
        };
        demand(cell.status < 500, "nobody meets a fault of ours");
        let is_stale = kind.is_stale();
        let is_unknown = ["UNAUTHENTICATED", "INVALID_TOKEN"].contains(&cell.code.as_str());
        match kind {
            Kind::Anonymous | Kind::Disabled => {
                demand(is_unknown != operation.is_public(), "who is not signed in gets what is public, and nothing else")
            }
            _ => demand(!is_unknown || !operation.takes("session"), "who is signed in is known"),
        }
        let is_stranger = match kind {
            Kind::Other | Kind::OtherDepartment => true,
            Kind::Service | Kind::ServiceOut | Kind::AdministratorKey => operation.path.starts_with("/v1/documents"),
            _ => false,
        };
        if is_stranger && operation.path.contains("{id}") {
            demand(!cell.is_done(), "nobody does anything with the record of somebody else");
        }
        let is_for_keys = operation.permission().is_some() && !operation.is_fresh();
        let is_made_for = |scopes: Vec<&str>| is_for_keys && operation.permission().is_some_and(|permission| scopes.contains(&permission));
        let is_let_in = kind.scopes().is_none_or(is_made_for);
        if kind.scopes().is_some() && !operation.is_public() {
            demand(operation.takes("api_key") == is_for_keys, "the document promises keys what they may do, and nothing else");
            let is_refused = (cell.status, cell.code.as_str()) == (403, "FORBIDDEN");
            demand(is_let_in || is_refused, "a key opens what it was made for that asks for no person, and nothing else");
        }
        let may = is_let_in && operation.permission().is_none_or(|permission| kind.may(permission));
        if operation.permission().is_some() && !is_unknown {
            let is_refused = cell.code == "FORBIDDEN";
            // on documents policies decide, too
            demand(if may { !is_refused || operation.path.starts_with("/v1/documents") } else { is_refused }, "the permission decides");
        }
        demand((cell.code == "STEP_UP_REQUIRED") == (is_stale && operation.is_fresh() && may), "an old proof is asked for anew, and no other");
    }
    faults
}

#[actix_web::test]
async fn everybody_gets_what_the_reviewed_table_says() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let kinds: Vec<Kind> = world.callers.iter().map(|caller| caller.kind).collect();
    let rows = walk(&world).await;
    let actual = table(&rows, &kinds);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("access_matrix.txt");
    fs::write(&place, &actual).unwrap();

    let faults: Vec<String> = rows.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let reviewed = fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let (is, was) = (by_operation(&actual), by_operation(&reviewed));
    let mut different: Vec<String> = is
        .iter()
        .filter(|(name, line)| was.get(*name) != Some(line))
        .map(|(name, line)| format!("is  {line}\nwas {}", was.get(name).map_or("not in the table", String::as_str)))
        .collect();
    different.extend(was.iter().filter(|(name, _)| !is.contains_key(*name)).map(|(_, line)| format!("no such operation: {line}")));
    let advice = format!("review {} and copy it to {SNAPSHOT}", place.display());
    assert!(different.is_empty(), "{}\n{advice}", different.join("\n"));
    assert!(actual == reviewed, "{advice}: its head or its columns differ");
}
