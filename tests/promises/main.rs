//! The promises of byway, each a sentence, tried in one world with real peers and judged from the outside. The
//! order is a story: the box is flashed, boots, joins, carries, is hurt, is replaced.

mod account;
mod allowance;
mod answers;
mod babble;
mod clients;
mod clock;
mod disk;
mod doors;
mod evidence;
mod faults;
mod first_boot;
mod flood;
mod flows;
mod helpers;
mod house;
mod houses;
mod kernel_faults;
mod kills;
mod lan;
mod limits;
mod lives;
mod long_flows;
mod mail;
mod memory;
mod naive;
mod names;
mod neighbours;
mod ordeal;
mod outages;
mod owner;
mod path;
mod pauses;
mod port_scan;
mod quiet;
mod reach;
mod relay;
mod relays;
mod rush;
mod upstreams;
mod watchdog;
mod way_in;
mod words;
mod writes;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use byway_lab::stage::Stage;
use libtest_mimic::{Arguments, Failed, Trial};

type Promise = (&'static str, fn(&mut Stage) -> Result<()>);

const PROMISES: &[Promise] = &[
    ("nothing_leaves_before_the_first_proof", first_boot::nothing_leaves_before_the_first_proof),
    ("joins_a_fresh_tailnet_and_becomes_an_approved_exit_node", first_boot::joins_and_is_approved),
    ("the_auth_key_is_wiped_after_the_join", first_boot::the_auth_key_is_wiped),
    ("a_card_is_rid_of_its_secrets_and_edited_without_them", first_boot::a_card_is_rid_of_its_secrets),
    ("the_phone_browses_by_mullvad_and_by_the_house", doors::the_phone_browses_by_both_doors),
    ("doctor_prints_every_promise", words::doctor_prints_every_promise),
    ("dns_tells_by_which_door_and_whom_an_answer_came", words::dns_tells_whose_an_answer_is),
    ("clients_names_the_phone_and_counts_its_bytes", words::clients_names_the_phone),
    (
        "a_paused_client_is_refused_at_once_and_after_a_boot_and_another_carried",
        pauses::one_client_is_refused_and_another_carried,
    ),
    ("each_client_takes_no_more_than_it_may_either_way", limits::each_client_takes_no_more),
    (
        "a_used_up_day_shuts_the_house_s_door_and_says_so_through_a_boot",
        allowance::a_used_up_day_shuts_the_house_s_door,
    ),
    ("mail_is_refused_by_the_house_s_line_and_goes_by_the_relay", mail::goes_by_the_relay_alone),
    ("wg_shows_the_tunnel_and_sets_nothing", words::wg_shows_the_tunnel),
    ("a_second_agent_is_refused", words::a_second_agent_is_refused),
    ("fifty_flips_under_load_show_no_wrong_packet_and_no_linked_flow", doors::fifty_flips_under_load),
    ("flows_of_every_kind_and_errors_about_them_never_change_doors", flows::of_every_kind),
    ("a_flow_that_fell_silent_goes_on_by_the_open_door_under_another_port", long_flows::silent_and_resumed),
    ("ten_thousand_flows_are_refused_at_once_and_none_changes_doors", long_flows::ten_thousand),
    ("a_thousand_new_connections_a_second_never_change_doors", rush::keeps_to_its_door),
    ("toggle_does_what_the_button_does", doors::toggle_does_what_the_button_does),
    ("a_silent_relay_seals_and_its_return_carries_again", faults::a_silent_relay_seals),
    ("an_exit_that_is_not_mullvad_is_sealed_at_once", faults::not_mullvad_is_sealed),
    ("a_client_is_answered_by_the_open_doors_name_server_whomever_it_asks", names::whomever_is_asked),
    ("no_name_is_answered_or_heard_while_no_door_is_open", names::sealed),
    ("a_question_under_way_is_cut_off_when_the_door_changes", names::under_way),
    ("answers_are_remembered_until_the_door_changes", answers::are_remembered),
    ("answers_come_as_given_but_for_addresses_at_home", answers::come_as_given),
    ("names_of_the_tailnet_are_answered_whatever_the_doors_do", answers::of_the_tailnet),
    ("another_resolv_conf_is_put_right_and_told", answers::of_another_resolv_conf),
    ("an_upstream_that_goes_wrong_is_told_and_nobody_else_is_asked", upstreams::go_wrong),
    ("plain_upstreams_are_asked_by_their_door_too", upstreams::are_asked_in_the_clear_if_told_so),
    ("names_follow_the_door_through_flips_losses_and_deaths", names::follow_the_door),
    ("an_agent_killed_is_carried_again_within_3_seconds", lives::killed_and_carried_again),
    ("a_killed_agent_is_told_and_its_last_words_are_kept", helpers::told_of_a_killed_agent),
    ("whoever_helps_is_told_of_nobody", helpers::are_told_of_nobody),
    ("sigterm_seals_and_leaves_tailscaled_running", lives::sigterm_seals),
    ("a_reboot_of_everything_keeps_the_wish", lives::reboot_keeps_the_wish),
    ("a_pulled_cable_seals_and_carries_within_3_seconds_of_the_lease", house::cable_comes_and_goes),
    ("a_renewed_lease_changes_nothing", house::a_lease_is_renewed),
    ("a_refused_lease_a_renumbered_house_and_another_router_carry_again", house::renumbered_and_rewired),
    (
        "options_33_121_and_249_lead_nowhere_and_foreign_dns_reaches_no_client",
        houses::strangers_routes_and_servers,
    ),
    ("another_dhcp_server_changes_no_lease_and_a_house_without_one_is_told", houses::dhcp_servers),
    ("a_duplicate_address_is_told_and_carries_once_it_is_free", houses::duplicate_addresses),
    ("a_flood_of_routers_does_not_stop_what_is_carried", houses::flood_of_routers),
    ("a_house_of_the_tailnets_range_carries_and_says_so", houses::of_the_tailnets_range),
    ("a_house_whose_network_a_peer_advertises_carries", houses::overlapped_by_the_tailnet),
    ("a_house_of_one_family_carries_by_nat64_or_says_why_not", houses::of_one_family),
    ("a_line_of_1492_bytes_whose_errors_are_lost_carries_bulk_both_ways", houses::behind_a_narrow_line),
    ("a_captive_portal_is_told_and_carries_after_the_login", houses::behind_a_portal),
    ("a_box_that_somebody_else_configures_follows_what_they_do", house::configured_by_somebody_else),
    ("strangers_routes_in_main_and_table_52_lead_no_client_astray", kernel_faults::strangers_routes),
    ("whatever_somebody_changes_in_the_kernel_is_sealed_and_put_right", kernel_faults::drift),
    ("somebody_who_fights_over_the_kernel_is_named_and_opens_no_door", kernel_faults::fight),
    ("a_client_gets_nothing_of_the_house_the_tunnel_or_any_private_address", clients::forbidden_targets),
    ("ping_gre_esp_sctp_and_fragments_go_by_the_open_door_alone", clients::every_protocol),
    ("a_relay_that_lies_reaches_nobody_behind_the_box_and_no_service_of_it", relay::lies),
    ("a_relay_that_quotes_a_flow_reaches_the_phone_only_by_that_flows_door", relay::quotes),
    ("a_house_host_gets_nothing_by_the_box_and_no_answer_for_its_hidden_addresses", neighbours::house_hosts),
    (
        "a_house_host_gets_nothing_by_the_box_when_the_rule_set_is_flushed",
        neighbours::house_hosts_after_a_flush,
    ),
    (
        "an_owners_session_outlives_the_loss_of_table_52_without_a_word_in_the_clear",
        owner::session_outlives_table_52,
    ),
    ("a_dead_relay_seals_and_its_return_carries_again", faults::a_dead_relay_seals),
    ("a_dead_tunnel_leaves_the_tailnet_up", upstreams::a_dead_tunnel_leaves_the_tailnet_up),
    (
        "a_flow_that_talks_on_while_the_relay_dies_never_comes_by_the_house",
        long_flows::one_port_for_life_is_refused,
    ),
    (
        "a_flow_whose_address_goes_while_it_talks_on_never_comes_by_the_other_door",
        long_flows::addresses_go_and_flows_stay_refused,
    ),
    ("a_flow_through_a_narrow_way_to_the_relay_goes_on_in_pieces", path::narrow_and_silent),
    ("another_mtu_is_taken_at_the_next_start_and_carries", path::another_mtu),
    ("a_machine_of_the_house_leaves_by_the_open_door_and_by_no_other", lan::machines_of_the_house),
    (
        "a_machine_behind_an_interface_of_its_own_is_given_all_it_needs_and_leaves_by_the_door",
        lan::machines_apart,
    ),
    ("the_owner_reaches_the_house_s_network_in_every_state_and_nobody_comes_in_by_it", lan::reach),
    ("tailscaled_killed_frozen_or_robbed_is_back_by_itself", outages::tailscaled_fails),
    ("an_expired_node_and_a_withdrawn_approval_are_told_and_mended", outages::control_turns_on_the_box),
    ("flips_work_while_the_control_server_is_away", outages::control_away),
    ("without_a_direct_way_the_phone_is_carried_by_derp", outages::derp_only),
    ("a_house_behind_two_nats_is_carried_by_derp_and_says_so", reach::behind_two_nats),
    ("a_box_that_forgot_its_node_asks_for_a_key_and_joins_anew", outages::state_deleted),
    (
        "the_owner_logs_in_by_the_tailnet_whatever_becomes_of_the_agent",
        way_in::by_the_tailnet_whatever_happens,
    ),
    ("nobody_logs_in_without_a_key_of_the_card_and_nobody_goes_further", way_in::by_a_key_of_the_card_alone),
    ("the_owner_logs_in_from_the_house_when_he_wants_it", way_in::from_the_house_when_the_owner_wants_it),
    (
        "a_port_scan_from_the_house_and_from_the_relay_finds_nothing_that_was_not_asked_for",
        port_scan::finds_nothing_else,
    ),
    ("a_client_that_fills_the_connection_table_does_not_lock_the_owner_out", flood::is_not_locked_out),
    ("an_agent_killed_8_times_in_a_flip_keeps_a_wish", kills::killed_8_times),
    ("a_hundred_toggles_from_three_sources_end_in_one_wish", kills::a_hundred_toggles_at_once),
    ("a_full_state_folder_carries_and_remembers_the_last_wish_once_there_is_room", disk::full),
    ("a_read_only_state_folder_carries_and_remembers_the_last_wish_once_it_can", disk::read_only),
    ("a_disk_that_is_lost_leaves_the_box_in_its_tailnet_by_the_spare_copy", disk::lost),
    ("what_was_remembered_and_is_torn_is_set_aside", disk::torn),
    ("a_torn_configuration_seals_and_says_where", disk::torn_configuration),
    ("a_run_folder_that_takes_no_file_seals_and_says_so", disk::no_run_folder),
    ("a_box_that_wakes_in_1970_starts_from_what_it_knows_and_is_set_right", clock::wakes_in_1970),
    (
        "a_box_without_time_servers_comes_up_and_knows_the_time_from_certificates_hosts",
        clock::without_time_servers,
    ),
    ("one_time_server_years_ahead_is_outvoted_and_all_of_them_are_contradicted", clock::liars),
    ("a_watchdog_starves_while_the_main_loop_hangs", watchdog::starves_while_the_loop_hangs),
    ("a_clock_stepped_by_three_years_breaks_nothing_and_is_put_right", clock::steps_of_years),
    ("a_wrong_mullvad_key_never_opens_and_says_so", faults::wrong_key_never_opens),
    ("the_box_says_nothing_in_the_house_that_it_need_not", quiet::says_nothing_needless),
    // All by one box with three of them; the next promise takes another box.
    ("a_dead_relay_is_replaced_before_anyone_notices", relays::deaths::a_dead_one_is_replaced),
    ("a_blocked_port_and_a_narrow_way_to_a_relay_are_told_and_got_around", relays::obstacles_are_got_around),
    (
        "dead_cities_end_at_another_one_or_at_a_seal_that_says_why_and_lifts_by_itself",
        relays::deaths::whole_cities_die,
    ),
    ("the_relay_that_the_owner_chose_carries_after_a_reboot", relays::the_choice_is_remembered),
    ("a_house_that_lets_no_udp_through_is_told", relays::a_house_without_udp),
    // By boxes of their own, in account mode; the next promise takes another box.
    ("an_account_s_fresh_box_opens_within_10_seconds_of_its_tailnet", account::a_fresh_box_opens),
    ("an_account_s_number_is_told_to_nobody_but_mullvad", account::tells_nobody_the_number),
    ("an_account_s_box_is_the_same_device_after_a_boot", account::is_the_same_device_after_a_boot),
    ("a_key_is_replaced_under_traffic_and_clients_hardly_notice", account::rotation::under_traffic),
    (
        "a_new_key_that_no_relay_knows_is_taken_back_behind_an_open_door",
        account::rotation::unknown_to_the_relays,
    ),
    ("a_new_key_whose_answer_was_cut_is_found_out", account::rotation::without_an_answer),
    ("a_box_boots_and_carries_while_mullvads_api_is_away", account::silence::carries_without_the_api),
    ("a_fresh_box_finds_mullvads_api_without_its_name", account::silence::finds_the_api_without_its_name),
    (
        "a_busy_and_slow_api_of_mullvads_and_a_cut_answer_are_borne",
        account::silence::a_busy_and_slow_api_and_a_cut_answer_are_borne,
    ),
    ("a_stranger_in_mullvads_name_is_told_nothing", account::silence::a_stranger_is_told_nothing),
    ("a_device_that_was_removed_registers_anew", account::trouble::a_removed_device_registers_anew),
    ("an_account_without_room_is_told_and_opens_once_there_is", account::trouble::a_full_account_is_told),
    (
        "a_number_that_is_no_account_s_is_told_and_opens_once_it_is",
        account::trouble::an_unknown_account_is_told,
    ),
    (
        "an_account_that_runs_out_is_told_before_and_opens_once_it_is_paid",
        account::trouble::an_expiry_is_told,
    ),
    ("relays_that_mullvad_does_not_list_any_more_are_left", account::places::unlisted_relays_are_left),
    ("a_city_is_chosen_from_mullvads_list_and_remembered", account::places::a_city_is_chosen_from_the_list),
    (
        "a_house_of_ipv6_alone_calls_an_account_s_relays_by_that",
        account::places::a_house_of_ipv6_alone_carries,
    ),
    ("a_file_s_relay_comes_before_the_account_s", account::places::files_come_before_the_account),
    ("an_exit_node_that_is_not_approved_says_how_to_approve_it", first_boot::not_approved_says_so),
    ("the_naive_rule_set_is_caught_by_the_same_judge", naive::is_caught),
];

/// The long versions, minutes each: ignored unless asked for (`just soak`).
const SOAKS: &[Promise] = &[
    ("soak_a_thousand_flips_under_load_show_no_wrong_packet_and_no_linked_flow", doors::a_thousand_flips),
    (
        "soak_a_port_for_life_is_dead_for_90_s_and_alive_by_the_new_door",
        long_flows::one_port_for_life_is_alive_again,
    ),
    ("soak_flips_work_while_the_control_server_is_away_for_minutes", outages::control_away_for_minutes),
    ("soak_a_node_no_longer_approved_finds_out", outages::no_longer_approved),
    ("soak_a_node_deleted_at_control_finds_out_and_joins_with_a_new_key", outages::deleted_at_control),
    ("soak_tailscaled_killed_20_times_is_carried_again", kills::tailscaled_killed_20_times),
    ("soak_an_agent_killed_500_times_in_a_flip_keeps_a_wish", kills::killed_500_times),
    ("soak_30_relay_deaths_are_carried_by_the_next", relays::deaths::thirty_deaths),
    ("soak_ten_minutes_of_loss_and_jitter_lose_no_relay", relays::ten_minutes_of_a_bad_radio),
    ("soak_an_idle_box_costs_its_relays_2_kilobytes_a_second_at_most", relays::idle_is_cheap),
    ("soak_an_idle_box_hardly_writes", writes::are_few_while_idle),
    ("soak_20_power_cuts_in_a_flip_or_boot_keep_a_wish", kills::power_cut_20_times),
];

fn main() {
    babble::if_asked();
    let mut arguments = Arguments::from_args();
    // One world at a time.
    arguments.test_threads = Some(1);
    let stage = Arc::new(Mutex::new(None));
    let trial = |(name, promise): &Promise| {
        let (stage, promise) = (Arc::clone(&stage), *promise);
        // The first one is about what a box does before it carries.
        let carries = *name != PROMISES[0].0;
        Trial::test(*name, move || on_stage(&stage, carries, promise))
    };
    let soaks = SOAKS.iter().map(|soak| trial(soak).with_ignored_flag(true));
    let trials = PROMISES.iter().map(trial).chain(soaks).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Before the process ends: the world is taken down by its Drop.
    drop(stage.lock().unwrap_or_else(PoisonError::into_inner).take());
    ordeal::print_table();
    memory::print();
    conclusion.exit();
}

/// Raises the world for the first test that runs, and again after one that failed; with a box that `carries`, as the one
/// before leaves it.
fn on_stage(
    stage: &Mutex<Option<Stage>>,
    carries: bool,
    promise: fn(&mut Stage) -> Result<()>,
) -> Result<(), Failed> {
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    if stage.is_none() {
        let mut new = Stage::raise(Path::new(env!("CARGO_BIN_EXE_byway"))).map_err(told)?;
        if carries {
            new.boot_and_carry().map_err(told)?;
        }
        *stage = Some(new);
    }
    let standing = stage.as_mut().ok_or("there is no stage")?;
    let outcome = promise(standing).and_then(|()| memory::check(standing));
    if outcome.is_err() {
        // Whatever it left broken is not the next one's business.
        *stage = None;
    }
    outcome.map_err(told)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn told(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
