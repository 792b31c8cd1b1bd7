mod clear_text;
mod old_protocols;
