# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which test must fail when a quirk of the stand-ins is switched off."""

from __future__ import annotations

from collections.abc import Mapping

_VENDOR = "tests/unit/tentacle/test_vendor_hazards.py::test_"
_AGENT = "tests/unit/tentacle/test_agent_hazards.py::test_"
_WIRE = "tests/unit/halibut/test_wire_hazards.py::test_"
_POLLING = "tests/unit/halibut/test_polling_hazards.py::test_"
_PROBE = "tests/unit/halibut/test_probe_lab.py::test_"
_SERVER = "tests/unit/server/test_vendor_hazards.py::test_"
_REST = "tests/unit/octopus/test_server_hazards.py::test_"

# Tests of the product against the stand-ins.
NOTICED: Mapping[str, str] = {
    "truncate_in_place": _VENDOR + "a_write_that_was_cut_is_told_and_never_restarted_into",
    "lock_ex_blocks": _VENDOR + "a_command_that_meets_our_lock_fails_and_loses_nothing",
    "mtime_moves_on_noop": _VENDOR + "a_touched_file_is_no_change",
    "one_write_per_step": _VENDOR + "a_command_that_died_between_two_steps_is_finished",
    "remove_trust_case_sensitive": _VENDOR + "a_pin_is_removed_as_it_is_spelled",
    "remove_trust_takes_polling": _VENDOR + "a_polling_entry_is_never_taken_along[remove]",
    "reset_trust_takes_polling": _VENDOR + "a_polling_entry_is_never_taken_along[reset]",
    "trust_moves_to_end": _VENDOR + "another_order_is_no_change",
    "trust_unvalidated": _VENDOR + "a_pin_that_lets_nobody_in_is_replaced",
    "update_trust_duplicates": _VENDOR + "duplicates_of_update_trust_are_repaired",
    "duplicate_entry_crashes": _VENDOR + "the_vendors_verb_alone_fails_on_duplicates_ours_does_not",
    "restart_line_unconditional": _VENDOR + "its_call_for_a_restart_is_no_reason_for_one",
    "proxy_off_unless_enabled": _VENDOR + "a_proxy_that_was_switched_off_beside_us_stays_off",
    "clear_trusted_crashes_on_listening": _VENDOR + "a_clearing_that_crashed_costs_nobody_the_pin",
    "switch_value_ignored": _VENDOR + "a_reset_that_said_false_is_not_restarted_into",
    "server_comms_unknown_instance_crashes": _VENDOR + "a_slip_of_ones_own_is_told_from_a_damaged_file[instance]",
    "missing_value_crashes": _VENDOR + "a_slip_of_ones_own_is_told_from_a_damaged_file[value]",
    "thumbprint_without_newline": _VENDOR + "the_thumbprint_of_a_row_is_what_the_tool_shows",
    "show_file_must_exist": _VENDOR + "a_row_tells_what_the_tool_would_write_into_a_file",
    "server_comms_new_subscription": _VENDOR + "two_subscriptions_at_one_address_are_two",
    "next_argument_is_value": _VENDOR + "whose_configuration_a_command_may_write[dash]",
    "blank_instance_falls_through": _VENDOR + "we_always_say_whom_we_mean",
    "single_instance_is_default": _VENDOR + "whose_configuration_a_command_may_write[only]",
    "cwd_configuration_wins": _VENDOR + "whose_configuration_a_command_may_write[folder]",
    "bad_index_file_breaks_all": _VENDOR + "one_bad_file_in_the_index_breaks_the_tool_and_one_row",
    "create_instance_resets_home": _VENDOR + "a_home_that_moved_takes_the_evidence_with_it",
    "create_instance_home_to_old_file": _VENDOR + "a_home_meant_for_another_file_moves_ours",
    "delete_instance_needs_configuration": _VENDOR + "an_instance_whose_file_is_gone_stays_a_row",
    "new_certificate_overwrites": _VENDOR + "an_identity_that_was_replaced_is_not_restarted_into[new]",
    "blank_export_replaces_identity": _VENDOR + "an_identity_that_was_replaced_is_not_restarted_into[blank]",
    "chain_pfx_takes_ca": _SERVER + "a_chain_is_stripped_before_the_tool_takes_its_ca",
    "password_for_unprotected_pfx_fails": _SERVER + "a_file_without_a_password_gets_one",
    "weak_key_imports": _SERVER + "a_weak_key_is_refused_before_the_tool_takes_it",
    "base64_without_key_imports": _VENDOR + "a_certificate_that_cannot_serve_is_imported_all_the_same[keyless]",
    "import_rewrites_same_certificate": _VENDOR + "an_import_of_the_same_certificate_beside_us_is_kept",
    "from_base64_is_logged": _VENDOR + "a_key_in_the_log_goes_no_further",
    "failed_decrypt_leaves_machine_key": _VENDOR + "a_changed_machine_id_is_seen_behind_the_tools_own_repair",
    "read_copies_key_to_store": _VENDOR + "reading_leaves_no_key_behind",
    "store_copy_wins": _VENDOR + "the_copy_that_wins_is_the_one_we_expect_on_the_wire",
    "foreign_store_owner_blocks": _VENDOR + "a_store_of_somebody_else_is_a_reason_not_to_restart",
    "service_failure_exits_0": _VENDOR + "a_failed_restart_is_told_though_the_tool_succeeds",
    "service_needs_sudo": _VENDOR + "no_sudo_is_needed_where_there_is_none",
    "service_retries_with_sudo": _VENDOR + "a_failed_order_is_given_once",
    "agent_makes_identity": _VENDOR + "an_agent_without_an_identity_is_not_restarted",
    "refusal_is_silent": _PROBE + "a_whole_matrix_leaves_no_error_line[1.3]",
    "refusal_logged_at_debug": _WIRE + "a_refused_question_shows_in_no_default_log",
    "resumption_keeps_identity": _WIRE + "a_resumed_session_would_lie_and_the_sweep_has_none",
    "listener_ignores_case": _WIRE + "a_pin_in_lower_case_lets_a_server_in",
    "null_message_is_goodbye": _PROBE + "a_whole_matrix_leaves_no_error_line[1.3]",
    "weak_key_fails_handshakes": _WIRE + "a_key_that_is_too_short_is_told_from_a_refusal",
    "careless_endings_are_errors": _WIRE + "a_careless_look_is_an_error_in_the_log_ours_is_none",
    "polling_pin_case_sensitive": _WIRE + "a_polling_pin_in_lower_case_is_another_pin",
    "decision_before_identity": _WIRE + "a_question_that_was_not_understood_refuses_nobody[half]",
    "mistyped_identity_stays_open": _WIRE + "a_question_that_was_not_understood_refuses_nobody[unknown]",
    "page_ignores_certificates": _WIRE + "a_question_that_was_not_understood_refuses_nobody[page]",
    "snapshot_at_start": _AGENT + "a_pin_counts_from_the_restart_on",
    "style_none_is_rewritten": _AGENT + "an_entry_without_a_style_gets_one_at_the_start",
    "sigterm_exit_code_varies": _AGENT + "a_stopped_service_is_stopped_whatever_the_manager_calls_it",
    "server_certificate_at_start": _SERVER + "an_import_is_no_switch_until_the_node_has_restarted",
    "server_skipped_is_success": _REST + "a_green_task_with_a_skipped_machine_is_not_green",
    "server_pages_of_30": _REST + "a_list_goes_on_where_its_page_ends",
    "server_partial_put_wipes": _REST + "a_machine_that_lost_its_environments_is_still_checked",
    "server_maintenance_refuses": _REST + "maintenance_refuses_a_key_that_may_not_administer",
    "server_disabled_unchecked": _REST + "a_machine_that_was_disabled_meanwhile_was_not_checked",
    "polling_back_off": _POLLING + "the_gap_that_a_person_is_told_is_that_of_the_slowest_tentacle[45.0]",
    "mismatch_leaves_socket_open": _POLLING + "a_tentacle_that_refuses_and_leaves_its_connection_open_is_let_go",
    "five_tries_before_tls": "tests/unit/tentacle/test_polling_lab.py::test_a_port_that_closes_at_once_is_no_server_that_was_refused",
}
