mod around_the_proxy;
mod changed_certificate;
mod clear_text;
mod mail_in_clear_text;
mod old_protocols;
mod weak_agreement;
