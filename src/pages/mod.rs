//! The few files that browsers get: the landing pages of links in letters, and the page of error codes. Compiled in, loading nothing from outside; their
//! policy allows their own script and style and no inline code (practice 5.csp). A page only shows a form: the person's click
//! posts the link's token.

pub mod errors;

/// What a page may do. Everything else is forbidden.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                       frame-ancestors 'none'";

/// A compiled-in file.
#[derive(Clone, Copy)]
pub struct File {
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// A page's script or style by name.
#[must_use]
pub fn asset(name: &str) -> Option<File> {
    match name {
        "link.js" => Some(File { media_type: "text/javascript; charset=utf-8", text: include_str!("assets/link.js") }),
        "export.js" => Some(File { media_type: "text/javascript; charset=utf-8", text: include_str!("assets/export.js") }),
        "oauth.js" => Some(File { media_type: "text/javascript; charset=utf-8", text: include_str!("assets/oauth.js") }),
        "page.css" => Some(File { media_type: "text/css; charset=utf-8", text: include_str!("assets/page.css") }),
        _ => None,
    }
}

/// The page behind a link.
struct LinkPage {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    fields: &'static str,
    button: &'static str,
    /// The call that spends the link's token.
    call: &'static str,
    done: &'static str,
    /// Whether the call's answer sets a cookie that this browser should keep.
    cookie: bool,
}

const NEW_PASSWORD: &str = include_str!("assets/new_password.html");

const LINK_PAGES: [LinkPage; 8] = [
    LinkPage {
        name: "register",
        title: "Complete your registration",
        about: "Choose what you want to be called, and a password.",
        fields: concat!(include_str!("assets/name.html"), include_str!("assets/new_password.html")),
        button: "Create the account",
        call: "/v1/auth/register/complete",
        done: "Your account is ready. You can sign in now.",
        cookie: false,
    },
    LinkPage {
        name: "reset",
        title: "Set a new password",
        about: "You will be signed out everywhere.",
        fields: NEW_PASSWORD,
        button: "Set the password",
        call: "/v1/auth/password/reset",
        done: "Your new password is set. You can sign in now.",
        cookie: false,
    },
    LinkPage {
        name: "email",
        title: "Confirm your new address",
        about: "From now on you sign in with this address, and letters come here.",
        fields: "",
        button: "Confirm the address",
        call: "/v1/auth/email/confirm",
        done: "Your new address is confirmed.",
        cookie: false,
    },
    LinkPage {
        name: "undo",
        title: "Take the change of address back",
        about: "Your old address becomes the account's again, everybody is signed out, and a letter for a new password comes here.",
        fields: "",
        button: "Take it back",
        call: "/v1/auth/email/undo",
        done: "The change was taken back. A letter to set a new password is on its way.",
        cookie: false,
    },
    LinkPage {
        name: "disown",
        title: "This was not me",
        about: "Everybody is signed out, the password becomes useless, and a letter for a new one comes to you.",
        fields: "",
        button: "It was not me: sign everybody out",
        call: "/v1/auth/sessions/disown",
        done: "Everybody was signed out. A letter to set a new password is on its way.",
        cookie: false,
    },
    LinkPage {
        name: "trust",
        title: "Sign in on this device",
        about: "This device becomes one that you use. Then sign in with your password as always.",
        fields: "",
        button: "I use this device",
        call: "/v1/auth/devices/trust",
        done: "You can sign in on this device now.",
        cookie: true,
    },
    LinkPage {
        name: "factor",
        title: "Take your lost second factor away",
        about: "Authenticator app, passkeys and recovery codes of your account are removed, and everybody is signed out. Then you sign in as before and set up a new one.",
        fields: "",
        button: "Take it away",
        call: "/v1/auth/mfa/reset",
        done: "Your account has no second factor any more. Sign in and set up a new one.",
        cookie: false,
    },
    LinkPage {
        name: "keep",
        title: "Keep your account",
        about: "Your account will not be erased. The password becomes useless, and a letter for a new one comes to you.",
        fields: "",
        button: "Keep my account",
        call: "/v1/auth/account/keep",
        done: "Your account stays. A letter to set a new password is on its way.",
        cookie: false,
    },
];

/// The landing page of this name.
#[must_use]
pub fn link_page(name: &str) -> Option<String> {
    // the one link that carries no token: it needs a session
    if name == "export" {
        return Some(include_str!("assets/export.html").to_owned());
    }
    let page = LINK_PAGES.iter().find(|page| page.name == name)?;
    // all of it is ours: nothing to escape
    let values = [
        ("{title}", page.title),
        ("{about}", page.about),
        ("{fields}", page.fields),
        ("{button}", page.button),
        ("{call}", page.call),
        ("{done}", page.done),
        ("{cookie}", if page.cookie { "true" } else { "false" }),
    ];
    Some(values.iter().fold(include_str!("assets/link.html").to_owned(), |html, (name, value)| html.replace(name, value)))
}

/// The page that providers send browsers back to.
#[must_use]
pub fn oauth_page() -> &'static str {
    include_str!("assets/oauth.html")
}
