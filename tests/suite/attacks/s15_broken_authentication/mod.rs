mod account_enumeration;
mod address_theft;
mod host_header_poisoning;
mod one_time_links;
mod parallel_registration;
mod pre_hijacking;
