mod hostile_json;
mod mass_assignment;
mod sql_injection;
