mod account_enumeration;
mod host_header_poisoning;
mod parallel_registration;
mod pre_hijacking;
