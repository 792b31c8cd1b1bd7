//! What events tell besides who, whom and when is on one list: the source writes no other field, and what somebody wrote past it is not
//! shown. Practices 11.audit, 15.excessive-data.

use crate::support::{app::TestApp, operations::document, sources::sources};
use portcullis::audit::{self, Entry, Event, Origin};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use syn::{
    Expr, Type,
    parse::Parser,
    visit::{self, Visit},
};

/// The fields of every `json!({ … })` that is an event's detail: as an argument or a variable, or made or passed on by a function.
#[derive(Default)]
struct Details {
    /// By name: what functions give whose last word is `json!({ … })`.
    made: BTreeMap<String, Vec<syn::Macro>>,
    /// Methods that pass on what they are given as `detail`, and which argument that is: in this file, or everywhere the one of `Entry`.
    passed_on: BTreeMap<String, usize>,
    fields: BTreeSet<String>,
    unread: Vec<String>,
}

fn is_json(expr: &Expr) -> Option<&syn::Macro> {
    match expr {
        Expr::Macro(found) if found.mac.path.is_ident("json") => Some(&found.mac),
        _ => None,
    }
}

fn is_value(of: &Type) -> bool {
    matches!(of, Type::Path(of) if of.path.segments.last().is_some_and(|last| last.ident == "Value"))
}

impl Details {
    /// Learns what the functions of a file make. Those of all files come before any is read.
    fn know(&mut self, file: &syn::File) {
        struct Makers<'m>(&'m mut BTreeMap<String, Vec<syn::Macro>>);
        impl Makers<'_> {
            fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
                if let (syn::ReturnType::Type(_, given), Some(syn::Stmt::Expr(last, None))) = (&signature.output, block.stmts.last())
                    && is_value(given)
                    && let Some(found) = is_json(last)
                {
                    self.0.entry(signature.ident.to_string()).or_default().push(found.clone());
                }
            }
        }
        impl<'ast> Visit<'ast> for Makers<'_> {
            fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
                self.note(&item.sig, &item.block);
                visit::visit_item_fn(self, item);
            }

            fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
                self.note(&item.sig, &item.block);
                visit::visit_impl_item_fn(self, item);
            }
        }
        Makers(&mut self.made).visit_file(file);
    }

    /// Reads one file.
    fn look_at(&mut self, file: &syn::File) {
        struct Passing<'p>(&'p mut BTreeMap<String, usize>);
        impl<'ast> Visit<'ast> for Passing<'_> {
            fn visit_signature(&mut self, signature: &'ast syn::Signature) {
                let arguments = signature.inputs.iter().filter_map(|input| match input {
                    syn::FnArg::Typed(typed) => Some(typed),
                    syn::FnArg::Receiver(_) => None,
                });
                let is_detail = |typed: &syn::PatType| matches!(&*typed.pat, syn::Pat::Ident(name) if name.ident == "detail");
                if let Some(at) =
                    arguments.clone().position(is_detail).filter(|at| arguments.clone().nth(*at).is_some_and(|typed| is_value(&typed.ty)))
                {
                    self.0.insert(signature.ident.to_string(), at);
                }
            }
        }
        self.passed_on = BTreeMap::from([("detail".to_owned(), 0)]);
        Passing(&mut self.passed_on).visit_file(file);
        self.visit_file(file);
    }

    /// What is told, where it can be seen.
    fn take(&mut self, told: &Expr) {
        let made = match told {
            Expr::Macro(_) => is_json(told).map(|found| vec![found.clone()]),
            Expr::Call(call) => match &*call.func {
                Expr::Path(name) => name.path.segments.last().and_then(|last| self.made.get(&last.ident.to_string())).cloned(),
                _ => None,
            },
            _ => None,
        };
        match made {
            Some(all) => all.into_iter().for_each(|found| self.read(found)),
            None => self.unread.push("a detail that is neither json!({ … }), nor made by a function that ends so, nor a variable of the name".into()),
        }
    }

    fn read(&mut self, found: syn::Macro) {
        let fields = |input: syn::parse::ParseStream<'_>| {
            let inside;
            syn::braced!(inside in input);
            let mut names = Vec::new();
            while !inside.is_empty() {
                names.push(inside.parse::<syn::LitStr>()?.value());
                inside.parse::<syn::Token![:]>()?;
                // a list or an object, or something to compute
                if inside.peek(syn::token::Bracket) || inside.peek(syn::token::Brace) {
                    inside.step(|cursor| cursor.token_tree().map(|(_, rest)| ((), rest)).ok_or_else(|| cursor.error("a value")))?;
                } else {
                    inside.parse::<Expr>()?;
                }
                if !inside.is_empty() {
                    inside.parse::<syn::Token![,]>()?;
                }
            }
            Ok(names)
        };
        self.fields.extend(fields.parse2(found.tokens).unwrap());
    }
}

impl<'ast> Visit<'ast> for Details {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && name.ident == "detail"
        {
            self.take(&init.expr);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_variable = |expr: &Expr| matches!(expr, Expr::Path(name) if name.path.is_ident("detail"));
        if let Some(told) = self.passed_on.get(&call.method.to_string()).and_then(|at| call.args.get(*at))
            && !is_variable(told)
        {
            self.take(told);
        }
        // what every event of a kind tells is added to its detail
        if call.method == "insert" && is_variable(&call.receiver) {
            let mut names = Literals::default();
            call.args.first().into_iter().for_each(|name| names.visit_expr(name));
            match <[String; 1]>::try_from(names.0) {
                Ok(name) => self.fields.extend(name),
                Err(_) => self.unread.push("a field of a detail by a name that is no literal".into()),
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    /// Functions would pass it on unseen.
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if self.passed_on.contains_key(&item.sig.ident.to_string()) {
            self.unread.push(format!("{}: a function that takes a detail; only methods may", item.sig.ident));
        }
        visit::visit_item_fn(self, item);
    }
}

#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }
}

#[actix_web::test]
async fn events_tell_listed_fields_only() {
    let mut details = Details::default();
    let files: Vec<_> = sources().into_iter().map(|(path, text)| (path, syn::parse_file(&text).unwrap())).collect();
    files.iter().for_each(|(_, file)| details.know(file));
    for (path, file) in &files {
        details.look_at(file);
        assert!(details.unread.is_empty(), "{}: {:?}", path.display(), details.unread);
    }
    let listed: BTreeSet<String> = document()["components"]["schemas"]["EventDetail"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(details.fields, listed, "src/audit/detail.rs has the list");

    let app = TestApp::start().await;
    let origin = Origin::service();
    for wrong in [json!({ "email": "ada@example.org" }), json!({ "session": "not an id" })] {
        let entry = Entry::new(Event::SignedOut, &origin, None, None).detail(wrong.clone());
        let written = audit::record(&mut app.state.pool.acquire().await.unwrap(), &app.state.keyring, app.clock.now(), entry).await;
        assert!(written.is_err(), "{wrong}");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events").await, 0);
    // of another version, or by somebody who can write the table
    let root = app.administrator().await;
    sqlx::query(
        "INSERT INTO audit_events (id, at, event, outcome, detail, sealed, key_version) VALUES (gen_random_uuid(), now(), 'session.ended', 'success', $1, '', 1)",
    )
    .bind(json!({ "session": "01900000-0000-7000-8000-000000000000", "password": "wet gravel" }))
    .execute(&app.database.pool)
    .await
    .unwrap();
    let shown = root.get("/v1/audit/events?event=session.ended").await.json();
    assert_eq!(shown["items"][0]["detail"], json!({ "session": "01900000-0000-7000-8000-000000000000" }));
}
