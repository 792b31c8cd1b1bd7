//! The few files that browsers get: the landing page of links in letters. Plain files, compiled in, loading nothing from
//! outside; their policy allows their own script and style and no inline code (practice 5.csp).

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

/// Where the link in a registration letter leads.
pub const REGISTER: File = File { media_type: "text/html; charset=utf-8", text: include_str!("assets/register.html") };

/// A page's script or style by name.
#[must_use]
pub fn asset(name: &str) -> Option<File> {
    match name {
        "register.js" => Some(File { media_type: "text/javascript; charset=utf-8", text: include_str!("assets/register.js") }),
        "page.css" => Some(File { media_type: "text/css; charset=utf-8", text: include_str!("assets/page.css") }),
        _ => None,
    }
}
