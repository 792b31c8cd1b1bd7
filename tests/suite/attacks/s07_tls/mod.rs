mod around_the_proxy;
mod clear_text;
mod mail_in_clear_text;
mod old_protocols;
