# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a known hazard from harming: the text of each guard, the text without it, and the test that must fail then.

Hazards go by the numbers of the contracts' tables: H-01 to H-42 those of the Tentacle, 1 to 42 those of the Server. ``text`` stands in
``file`` (below plugins/) exactly once. tests/HAZARDS.md says what each is about, and why some have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Guard(NamedTuple):
    file: str
    text: str
    without: str
    test: str


_CERTIFICATE = "module_utils/_certificate.py"
_HOST = "module_utils/_host.py"
_THUMBPRINT = "module_utils/_thumbprint.py"
_SECRETS = "module_utils/_secrets.py"
_TENTACLE = "module_utils/_tentacle/"
_KEYS = "module_utils/_keys/"
_NODE = "module_utils/_server/node.py"
_OCTOPUS = "module_utils/_octopus/"
_FLEET = "module_utils/_fleet/"
_ROTATION = "module_utils/_rotation/"
_RULES = _ROTATION + "rules.py"

_HAZARDS = "tests/unit/hazards/test_hazards_"
_VENDOR = "tests/unit/tentacle/test_vendor_hazards.py::test_"
_VISIT = "tests/unit/tentacle/test_visit.py::test_"
_POSIX = "tests/unit/tentacle/test_posix_host.py::test_"
_KEEPER = "tests/unit/server/test_keeper.py::test_"
_IDENTITY = "tests/unit/tentacle/test_certificate.py::test_"
_IMPORT = "tests/unit/server/test_vendor_hazards.py::test_"
_CLI = "tests/unit/server/test_cli.py::test_"
_PFX = "tests/unit/halibut/test_certificate.py::test_every_unusable_file_is_refused_in_its_own_sentence"
_ALONE = "tests/model/test_mutants.py::test_this_clause_alone_refuses"

# The vendor's verb is given once, and believed.
_BELIEVES = ("            if why:\n                self.clock.sleep(0.05)", "            return")

GUARDS: Mapping[str, tuple[Guard, ...]] = {
    "H-01": (
        Guard(
            _KEYS + "vendor.py",
            '_option("--from-file", path)',
            '_option("--from-base64", path)',
            _CLI + "every_command_names_its_instance_and_stays_on_the_console",
        ),
    ),
    "H-02": (
        Guard(_SECRETS, "_random.token_hex(22)[:43]", '"0" * 43', _KEEPER + "passwords_of_the_user_reach_no_target_and_no_file_outlives_its_use"),
        Guard(
            _HOST,
            "            self.remove(folder)\n            os.close(held)",
            "            os.close(held)",
            _KEEPER + "passwords_of_the_user_reach_no_target_and_no_file_outlives_its_use",
        ),
    ),
    "H-03": (
        Guard(
            _TENTACLE + "service.py",
            "if service.pid and service.pid == before.pid and service.started",
            "if False and service.started",
            _VENDOR + "a_failed_restart_is_told_though_the_tool_succeeds",
        ),
    ),
    "H-04": (
        Guard(
            _TENTACLE + "visit.py",
            '"changed": self.restarted or self.before != self.after',
            '"changed": True',
            _VENDOR + "its_call_for_a_restart_is_no_reason_for_one",
        ),
    ),
    "H-05": (Guard(_TENTACLE + "trust.py", "visible.upper() == thumbprint", "visible == thumbprint", _VENDOR + "a_pin_is_removed_as_it_is_spelled"),),
    "H-06": (
        Guard(
            _THUMBPRINT,
            "if not is_canonical(candidate):",
            "if False:",
            _HAZARDS + "tentacle.py::test_what_is_no_thumbprint_never_reaches_the_tool[short]",
        ),
    ),
    "H-07": (
        Guard(
            _TENTACLE + "writer.py",
            "if any(entry.address and entry.thumbprint in remove",
            "if False and any(entry.address and entry.thumbprint in remove",
            _HAZARDS + "tentacle.py::test_a_verb_that_would_take_a_registration_along_is_not_given",
        ),
    ),
    "H-08": (Guard(_TENTACLE + "trust.py", "if len(mine) == 1 and ", "if mine and ", _VENDOR + "duplicates_of_update_trust_are_repaired"),),
    "H-09": (Guard(_KEYS + "vendor.py", "if not value.strip():", "if False:", _CLI + "a_blank_value_is_never_passed_on[I- -x]"),),
    "H-10": (Guard(_HOST, 'cwd="/",', "cwd=None,", _POSIX + "a_neutral_folder_both_streams_and_standard_input"),),
    "H-11": (
        Guard(
            _TENTACLE + "visit.py",
            "restart = self.task.restart and self._restart_is_due(wanted, write)",
            "restart = False",
            "tests/unit/tentacle/test_agent_hazards.py::test_a_pin_counts_from_the_restart_on",
        ),
    ),
    "H-12": (
        Guard(
            _TENTACLE + "service.py",
            "    if found is None:\n",
            '    if found is None:\n        return _Judgement("", "", Proof(found, service))\n    if found is None:\n',
            _VISIT + "what_the_restart_did_not_bring_is_named[deaf-NOT_SERVING]",
        ),
        Guard(
            _TENTACLE + "readiness.py",
            "and file.uid != uid:",
            "and False:",
            _VENDOR + "a_store_of_somebody_else_is_a_reason_not_to_restart",
        ),
    ),
    "H-13": (
        Guard(
            _TENTACLE + "instance.py",
            "    settings = _load(host, subject, clock)\n",
            '    settings = _load(host, subject, clock)\n    host.run([*installation.executable, "show-thumbprint", f"--instance={subject.instance}"])\n',
            _VENDOR + "reading_leaves_no_key_behind",
        ),
    ),
    "H-14": (Guard(_HOST, 'kept["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir', "pass", _POSIX + "the_environment_is_scrubbed"),),
    "H-15": (
        Guard(
            _HOST,
            'if not _lock(original.fileno()):\n                    return "locked"',
            "if False:\n                    pass",
            _VENDOR + "a_command_that_meets_our_lock_fails_and_loses_nothing",
        ),
        Guard(
            _TENTACLE + "writer.py",
            "if not self.proved or damaged is None:",
            "if True:",
            _HAZARDS + "tentacle.py::test_a_file_that_is_cut_after_our_write_gets_the_new_pin_back",
        ),
        Guard(
            _TENTACLE + "guard.py",
            "        self._put_back(before)\n",
            "",
            _IDENTITY + "a_torn_file_is_put_back[cut]",
        ),
        Guard(
            _TENTACLE + "visit.py",
            "contextlib.nullcontext(-1) if limits.check else",
            "contextlib.nullcontext(-1) if True else",
            _VISIT + "another_run_at_work",
        ),
    ),
    "H-16": (
        Guard(
            _HOST,
            "os.fchmod(descriptor, found.st_mode & 0o7777)",
            "os.fchmod(descriptor, 0o644)",
            _HAZARDS + "tentacle.py::test_a_file_that_was_closed_to_others_stays_closed",
        ),
    ),
    "H-17": (
        Guard(
            _TENTACLE + "readiness.py",
            "elif installation.machine_id_file and not machinekey",
            "elif False and not machinekey",
            _VENDOR + "a_changed_machine_id_is_seen_behind_the_tools_own_repair",
        ),
    ),
    "H-18": (Guard(_TENTACLE + "readiness.py", "    if missing:\n", "    if False:\n", _VENDOR + "an_agent_without_an_identity_is_not_restarted"),),
    "H-19": (
        Guard(_CERTIFICATE, "if unprotected is not None and password:", "if False:", _PFX),
        Guard(_CERTIFICATE, "if not isinstance(key, rsa.RSAPrivateKey):", "if False:", _PFX),
        Guard(_KEYS + "keeper.py", "if self._found(imported) == new:", "if True:", _KEEPER + "a_third_certificate_is_undone_at_once"),
    ),
    "H-20": (
        Guard(
            _TENTACLE + "visit.py",
            "if served and not _thumbprint.same(served, expected):",
            "if False:",
            _VENDOR + "an_identity_that_was_replaced_is_not_restarted_into[new]",
        ),
        Guard(
            _TENTACLE + "keys.py",
            "harm = self._guard.mend(before)",
            'harm = ""',
            _IDENTITY + "a_verb_that_replaces_the_live_one_is_undone",
        ),
    ),
    "H-21": (
        Guard(
            _TENTACLE + "writer.py",
            "        self.last_words = (completed",
            '        if completed.rc:\n            raise OctoError("The command failed.")\n        self.last_words = (completed',
            _HAZARDS + "tentacle.py::test_an_exit_code_is_looked_behind",
        ),
    ),
    "H-25": (
        Guard(
            _TENTACLE + "readiness.py",
            "elif not (found.service.active and found.service.pid):",
            "elif False:",
            _VISIT + "what_is_not_ready_is_not_touched",
        ),
    ),
    "H-26": (
        Guard(
            _TENTACLE + "agent.py",
            "other = _starts_another(host, service, subject, installation)",
            'other = ""',
            _HAZARDS + "tentacle.py::test_an_instance_that_is_named_as_another_service_restarts_nothing",
        ),
    ),
    "H-27": (Guard(_HOST, " and original.read() == expected", "", _VENDOR + "a_proxy_that_was_switched_off_beside_us_stays_off"),),
    "H-28": (
        Guard(
            "plugin_utils/_windows_keys.py",
            "advice=_ADVICE",
            'advice=""',
            "tests/unit/windows/test_windows_keys.py::test_a_complaint_is_told_with_what_helps",
        ),
    ),
    "H-30": (
        Guard(
            "module_utils/_halibut/call.py",
            "self._end(REFUSED)",
            "self._end(UNEXPECTED)",
            "tests/unit/halibut/test_wire_hazards.py::test_a_refused_question_shows_in_no_default_log",
        ),
    ),
    "H-31": (Guard(_HOST, " if not _VENDOR_VARIABLE.match(name)}", "}", _POSIX + "the_environment_is_scrubbed"),),
    "H-32": (
        Guard(
            _TENTACLE + "index.py",
            'return IndexEntry(file, "", "INDEX_UNREADABLE", reason)',
            "return None",
            _VENDOR + "one_bad_file_in_the_index_breaks_the_tool_and_one_row",
        ),
    ),
    "H-33": (
        Guard(_KEYS + "vendor.py", '_option("--from-file", path)', '_option("-f", path)', _HAZARDS + "tentacle.py::test_every_option_is_a_long_one"),
    ),
    "H-34": (
        Guard(_TENTACLE + "writer.py", *_BELIEVES, _HAZARDS + "tentacle.py::test_a_command_of_ours_that_died_between_two_steps_is_given_again"),
    ),
    "H-37": (Guard(_CERTIFICATE, "if key.key_size < LEAST_RSA_BITS:", "if False:", _IMPORT + "a_weak_key_is_refused_before_the_tool_takes_it"),),
    "H-38": (
        Guard(
            _TENTACLE + "tls.py",
            "    with socket.create_connection((address, port), timeout) as peer:",
            "    socket.create_connection((address, port), timeout).close()\n    with socket.create_connection((address, port), timeout) as peer:",
            "tests/unit/tentacle/test_tls.py::test_the_certificate_is_seen_and_no_error_is_left[1.3]",
        ),
        Guard(
            "module_utils/_halibut/call.py",
            "self._leave(NULL_MESSAGE)",
            "self._leave()",
            "tests/unit/halibut/test_probe_lab.py::test_a_whole_matrix_leaves_no_error_line[1.3]",
        ),
    ),
    "H-39": (
        Guard(
            _TENTACLE + "writer.py",
            "host.write_private(copy, data)",
            "host.write_private(copy, data, 0o644)",
            _HAZARDS + "tentacle.py::test_a_copy_of_ours_is_for_nobody_else",
        ),
    ),
    "H-40": (
        Guard(
            _TENTACLE + "service.py",
            "if not service.pid and (old is None",
            'if not service.pid and service.state == "inactive" and (old is None',
            _HAZARDS + "tentacle.py::test_a_stopped_one_is_stopped_though_its_unit_failed",
        ),
    ),
    "H-41": (
        Guard(
            _ROTATION + "plan.py",
            "return Crews(tuple(host for host in hosts if host not in polling), polling)",
            "return Crews(tuple(hosts))",
            _HAZARDS + "fleet.py::test_who_polls_is_visited_last_and_the_gap_is_foreseen",
        ),
    ),
    "H-42": (
        Guard(
            _TENTACLE + "configuration.py",
            "if clock.now() >= deadline:",
            "if True:",
            _HAZARDS + "tentacle.py::test_a_look_into_the_middle_of_a_write_is_taken_again",
        ),
    ),
    "1": (
        Guard(_RULES, "facts.proof(edge, pin) == ACCEPTED)", "True)", _ALONE + "[switch-in_process]"),
        Guard(_RULES, "facts.on_disk(edge, pin) is True)", "True)", _ALONE + "[switch-on_disk]"),
        Guard(
            "action/octo_certificate.py",
            'if state == "active" and params["permit"] is None',
            'if False and params["permit"] is None',
            "tests/unit/server/test_action.py::test_without_a_permit_the_word_must_be_said",
        ),
    ),
    "2": (
        Guard(
            _FLEET + "roster.py",
            "self._blockers.append(self._why_unmatched(site))",
            "pass",
            "tests/unit/fleet/test_roster.py::test_a_record_on_no_host_blocks",
        ),
    ),
    "3": (
        Guard(
            _RULES,
            "for name in sorted(asked - seen_by_key)",
            "for name in ()",
            _HAZARDS + "server.py::test_a_key_that_does_not_see_every_space_refuses_the_switch",
        ),
    ),
    "4": (
        Guard(
            _TENTACLE + "trust.py",
            "    if any(entry.style == LISTENING for entry in entries) or",
            "    if True or",
            _HAZARDS + "tentacle.py::test_who_only_polls_gets_its_second_pin_where_it_polls",
        ),
    ),
    "5": (
        Guard(
            _TENTACLE + "trust.py",
            "    _refuse_to_end_a_registration(result, kept)\n",
            "",
            _VENDOR + "a_polling_entry_is_never_taken_along[remove]",
        ),
    ),
    "6": (
        Guard(
            _TENTACLE + "trust.py",
            'unicodedata.category(character) != "Cf"',
            "True",
            "tests/unit/tentacle/test_trust.py::test_odd_spellings_of_a_given_one_are_repaired_and_removed",
        ),
    ),
    "7": (Guard(_TENTACLE + "writer.py", *_BELIEVES, "tests/unit/tentacle/test_writer.py::test_by_the_vendor_with_our_lock_and_until_it_holds"),),
    "8": (
        Guard(
            _TENTACLE + "service.py",
            "if endpoint.thumbprint and not _thumbprint.same(",
            "if False and not _thumbprint.same(",
            "tests/unit/tentacle/test_manage.py::test_a_node_that_presents_the_wrong_certificate",
        ),
    ),
    "9": (Guard(_RULES, "        if edge.busy\n    ]", "        if False\n    ]", _ALONE + "[expand-idle]"),),
    "10": (
        Guard(
            _OCTOPUS + "drain.py",
            "        if busy:\n",
            "        if False:\n",
            "tests/unit/octopus/test_drain.py::test_when_the_time_is_over_the_task_is_named_and_the_node_is_active_again",
        ),
        Guard(
            _OCTOPUS + "drain.py",
            "self._release(told)",
            "pass",
            "tests/unit/octopus/test_drain.py::test_when_the_time_is_over_the_task_is_named_and_the_node_is_active_again",
        ),
    ),
    "12": (Guard(_RULES, "for node in facts.nodes if node.presents != facts.new", "for node in ()", _ALONE + "[contract-nodes_present_new]"),),
    "13": (Guard(_KEYS + "store.py", "if rivals and rivals != [note.thumbprint]:", "if False:", _KEEPER + "two_runs_do_not_stage_two_certificates"),),
    "14": (Guard(_RULES, "if not node.is_up and node.name != own", "if False", _ALONE + "[restart_node-nodes_up]"),),
    "15": (
        Guard(
            _NODE,
            "if not pfx:",
            "if False:",
            _HAZARDS + "server.py::test_a_server_without_its_master_key_is_told_before_anything_is_done",
        ),
    ),
    "16": (Guard(_CERTIFICATE, "if key is None:", "if False:", _HAZARDS + "server.py::test_a_backup_without_its_key_is_no_backup"),),
    "17": (
        Guard(
            "plugin_utils/_secret_call.py",
            "self._secret_call = context.no_log, True, True",
            "self._secret_call = context.no_log, True, False",
            "tests/unit/server/test_action.py::test_pipelining_is_forced_for_the_one_call_and_only_for_it",
        ),
        Guard(
            "plugin_utils/_secret_call.py",
            "if C.DEFAULT_DEBUG:",
            "if False:",
            _HAZARDS + "server.py::test_debugging_is_refused_before_a_secret_is_given_away",
        ),
    ),
    "19": (
        Guard(
            "plugin_utils/_survey.py",
            "presented = {sight.endpoint.name: sight.thumbprint for sight in self._sweep(list(parsed.values()))}",
            "presented = dict.fromkeys(places, self._client.certificate().thumbprint)",
            _HAZARDS + "server.py::test_a_node_presents_what_the_wire_shows_whatever_rest_says",
        ),
    ),
    "20": (
        Guard(
            _OCTOPUS + "health.py",
            "waiting = [one for one in waiting if not rows[_key(one)].healthy]",
            "break",
            "tests/unit/octopus/test_health.py::test_who_is_not_green_is_asked_once_more_alone",
        ),
    ),
    "21": (
        Guard(
            _OCTOPUS + "health.py",
            "fresh = last is not None and started is not None and last >= started",
            "fresh = True",
            "tests/unit/octopus/test_health.py::test_a_green_task_that_left_a_machine_out_is_not_green[None]",
        ),
    ),
    "22": (
        Guard(
            _RULES,
            "if health is None or health.presented != {facts.new}:",
            "if health is None:",
            _HAZARDS + "fleet.py::test_a_health_check_from_before_the_switch_does_not_count_after_it",
        ),
    ),
    "23": (
        Guard(
            _RULES,
            "if policy.deletes_after is not None and policy.deletes_after <= facts.expected_seconds",
            "if False",
            _ALONE + "[switch-policies_bide]",
        ),
    ),
    "24": (
        Guard(
            _ROTATION + "words.py",
            "for one in facts.policies if one.upgrades",
            "for one in ()",
            "tests/unit/rotation/test_words.py::test_a_plan_that_cannot_go_on",
        ),
    ),
    "25": (
        Guard(
            _OCTOPUS + "client.py",
            '{**document, "IsInMaintenanceMode": wanted}',
            '{"IsInMaintenanceMode": wanted}',
            "tests/unit/octopus/test_client.py::test_maintenance_goes_back_whole_and_is_read_back",
        ),
    ),
    "27": (
        Guard(
            _FLEET + "roster.py",
            'record.address or record.subscription or f"{record.space} {record.id}"',
            "record.id",
            "tests/unit/fleet/test_roster.py::test_several_records_of_one_tentacle",
        ),
        Guard(
            _FLEET + "evidence.py",
            "if not known or len(known) < len(asked):",
            "if not known:",
            "tests/unit/fleet/test_evidence.py::test_health_is_that_of_the_worst_enabled_record",
        ),
    ),
    "28": (
        Guard(
            _FLEET + "edges.py",
            '"KubernetesTentacle": KUBERNETES}',
            '"KubernetesTentacle": NO_TENTACLE}',
            "tests/unit/fleet/test_roster.py::test_styles[KubernetesTentacle-kubernetes]",
        ),
        Guard(
            _OCTOPUS + "records.py",
            'nested.text("Thumbprint") or endpoint',
            "endpoint",
            "tests/unit/octopus/test_client.py::test_machines_are_targets_and_workers_of_all_styles",
        ),
    ),
    "29": (
        Guard(
            _FLEET + "roster.py",
            "if style == WEBSOCKET and not instance.pins() & self._ours:",
            "if style == WEBSOCKET:",
            "tests/unit/fleet/test_roster.py::test_a_websocket_that_pins_the_old_certificate_is_an_edge_that_cannot_be_expanded",
        ),
    ),
    "30": (
        Guard(
            _OCTOPUS + "health.py",
            "        if now.is_disabled:\n",
            "        if False:\n",
            "tests/unit/octopus/test_server_hazards.py::test_a_machine_that_was_disabled_meanwhile_was_not_checked",
        ),
    ),
    "31": (
        Guard(
            _TENTACLE + "trust.py",
            "(*(entry for entry in entries if entry not in mine), listening_entry(thumbprint))",
            "(listening_entry(thumbprint),)",
            _VISIT + "a_pin_is_added_taken_over_and_proved",
        ),
        Guard(_RULES, "if pin not in (facts.old, facts.new)]", "if False]", _ALONE + "[switch-strangers_untouched]"),
    ),
    "32": (Guard(_RULES, "if other.presents in (None, facts.old)", "if False", _ALONE + "[contract-nobody_else_presents_old]"),),
    "33": (
        Guard(
            _KEYS + "keeper.py",
            "if identity.thumbprint != thumbprint:",
            "if False:",
            _KEEPER + "another_certificate_in_the_database_is_not_backed_up_under_a_wrong_name",
        ),
        Guard(_RULES, "if known and known != wire.presents}", "if False}", _ALONE + "[switch-is_itself]"),
    ),
    "34": (
        Guard(_RULES, "if not edge.edge.records or edge.edge.is_disabled:", "if True:", _ALONE + "[contract-works_with_new]"),
        Guard(_RULES, "if thumbprint not in facts.stored", "if False", _ALONE + "[switch-backed_up]"),
    ),
    "35": (
        Guard(
            _KEYS + "store.py",
            "self.note.role == STAGED and self.note.replaces == replaced",
            "False",
            _KEEPER + "a_certificate_is_made_once[vendor-verbs0]",
        ),
    ),
    "36": (
        Guard(
            _KEYS + "keeper.py",
            "        if concern:\n",
            "        if False:\n",
            _HAZARDS + "server.py::test_a_certificate_of_tomorrow_is_not_adopted",
        ),
    ),
    "37": (
        Guard(
            _TENTACLE + "service.py",
            '_order(hands, target, "restart")',
            '_order(hands, target, "stop") + _order(hands, target, "start")',
            _VISIT + "a_pin_is_added_taken_over_and_proved",
        ),
    ),
    "38": (
        Guard(
            _OCTOPUS + "client.py",
            "_PASSING = (408, 429, 500, 502, 503, 504)",
            "_PASSING = ()",
            _HAZARDS + "server.py::test_a_server_that_is_starting_is_asked_again",
        ),
    ),
    "41": (
        Guard(_KEYS + "vendor.py", ' "--console",', "", _CLI + "every_command_names_its_instance_and_stays_on_the_console"),
        Guard("plugin_utils/_windows.py", 'words=("--console",)', "words=()", "tests/unit/windows/test_windows.py::test_the_vendors_own_verb"),
    ),
    "42": (
        Guard(
            _TENTACLE + "writer.py",
            'f"--instance={instance}", *verb',
            "*verb",
            _HAZARDS + "tentacle.py::test_a_command_names_its_instance_on_a_host_with_several",
        ),
    ),
}
