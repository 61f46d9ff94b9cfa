# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audits a whole fleet in one task, on the controller: four sources are read, and one pure judge says what they mean."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import accept, audit, compare, summary
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_options as options
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_reports as reports
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from ansible_collections.octofleet.octopus.plugins.plugin_utils._audit_sources import Collector
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import sweep_from

display = Display()


class ActionModule(SecretCalls, OctoAction):
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        params = options_of(self, options.ARGUMENTS)
        question = options.question_of(params, task_vars)
        acceptances = options.acceptances_of(self, params["accept"])
        earlier = options.earlier_of(self, params["since"], params["report_folder"])
        search = options.searching(params["query"])
        identities = options.identities_of(self, params) if "wire" in question.asked else []
        collector = Collector(
            question, task_vars["hostvars"], sweep_from(self, params["vantage"], task_vars), identities, *options.connection_of(params)
        )
        if params["only_check"]:
            return {"changed": False}
        document, unjudged = audit.audited(collector.facts())
        unused = accept.mark(document, acceptances, unjudged)
        if earlier is not None:
            document = compare.compare(document, earlier, unjudged)
        written = reports.write(document, params["report_folder"], params["reports"], params["fail_on"])
        answer = search(document)
        lines = summary.lines(document, unused, list(written.values()), answer)
        for line in lines:
            display.display(line)
        failure = summary.failure(document, params["fail_on"])
        made = {"changed": False, "reports": written, "lines": lines, "accept_unused": list(unused), "query": answer}
        return {**reports.result(document), **made, **({"failed": True, "msg": failure} if failure else {})}
