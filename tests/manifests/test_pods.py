"""Every pod is as locked up as it can be, and selectors, policies, accounts and claims fit what they name."""

import pytest
from rendered import EVERY, OVERLAYS, Object, containers, objects, of_kind, pods, selects

STAGE = {"app.kubernetes.io/component": "stage"}
TASK = {"workflows.argoproj.io/workflow": "a-run"}
"""A label of every pod that Argo Workflows starts."""


def test_the_search_finds_every_pod() -> None:
    assert {name for name, _ in pods()} == {
        *("Deployment/pushgateway", "Deployment/serve"),
        *("ClusterTrainingRuntime/thaw-torchrun", "Experiment/hvit-end-to-end"),
    }


def test_pods_are_restricted() -> None:
    for name, pod in pods():
        spec, context = pod["spec"], pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert {key for volume in spec["volumes"] for key in volume} <= {
            *("name", "emptyDir", "secret", "persistentVolumeClaim", "configMap")
        }, name


def test_containers_are_restricted_and_bounded() -> None:
    for name, pod in pods():
        for one in containers(pod):
            context = one["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= one["resources"][kind].keys(), name


def test_a_root_that_is_read_only_has_room_to_write() -> None:
    """HOME and the working folder are where libraries write; both must be volumes."""
    for name, pod in pods():
        for one in containers(pod):
            home = [variable["value"] for variable in one.get("env", []) if variable["name"] == "HOME"]
            mounts = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
            assert set(home) <= mounts, name
            assert {one.get("workingDir", next(iter(mounts)))} <= mounts, name


def test_deployments_have_probes_and_select_their_own_pods() -> None:
    for one in of_kind("Deployment"):
        template = one["spec"]["template"]
        assert selects(one["spec"]["selector"], template["metadata"]["labels"])
        for container in containers(template):
            ports = {port["name"] for port in container["ports"]}
            assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} <= ports


def test_services_lead_to_pods() -> None:
    for service in of_kind("Service"):
        found = [pod for _, pod in pods() if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
        assert found
        for pod in found:
            ports = {port["name"] for container in containers(pod) for port in container["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("kind", ["PodMonitor", "PodDisruptionBudget"])
def test_selectors_find_pods(kind: str) -> None:
    for one in of_kind(kind):
        candidates = [TASK, *(pod["metadata"]["labels"] for _, pod in pods())]
        assert any(selects(one["spec"]["selector"], labels) for labels in candidates), one["metadata"]["name"]


def policies_of(labels: Object) -> list[Object]:
    found = {one["metadata"]["name"]: one for one in of_kind("NetworkPolicy", "overlays/cluster", "serve")}
    return [one for one in found.values() if selects(one["spec"]["podSelector"], labels)]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_not_allowed_is_denied(overlay: str) -> None:
    (denial,) = [one for one in of_kind("NetworkPolicy", overlay) if one["metadata"]["name"] == "default-deny"]
    assert denial["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("labels", [STAGE, TASK], ids=["stage", "task"])
def test_stages_have_a_policy_of_their_own(labels: Object) -> None:
    names = {one["metadata"]["name"] for one in policies_of(labels)}
    assert names > {"default-deny", "dns"}


def test_every_pod_has_a_policy_of_its_own() -> None:
    for name, pod in pods():
        names = {one["metadata"]["name"] for one in policies_of(pod["metadata"]["labels"])}
        assert names > {"default-deny", "dns"}, name


def peers(rules: list[Object]) -> list[tuple[Object, set[int]]]:
    return [
        (peer, {port["port"] for port in rule.get("ports", [])})
        for rule in rules
        for peer in rule.get("to", rule.get("from", []))
    ]


def test_both_ends_of_a_push_agree() -> None:
    (gateway,) = [one for one in policies_of({"app.kubernetes.io/name": "pushgateway"}) if one["spec"].get("ingress")]
    admitted = [peer["podSelector"] for peer, _ in peers(gateway["spec"]["ingress"]) if "podSelector" in peer]
    for labels in (STAGE, TASK):
        assert any(selects(selector, labels) for selector in admitted)
        leaving = [entry for one in policies_of(labels) for entry in peers(one["spec"].get("egress", []))]
        assert any(
            selects(peer.get("podSelector", {}), {"app.kubernetes.io/name": "pushgateway"}) and 9091 in ports
            for peer, ports in leaving
            if "namespaceSelector" not in peer and "ipBlock" not in peer
        )


def test_nobody_reaches_the_nodes_metadata_service() -> None:
    blocks = [
        peer["ipBlock"]
        for one in of_kind("NetworkPolicy")
        for peer, _ in peers(one["spec"].get("egress", []))
        if "ipBlock" in peer
    ]
    assert blocks
    assert all("169.254.0.0/16" in block["except"] for block in blocks)


def test_what_pods_name_exists() -> None:
    accounts = {one["metadata"]["name"] for one in of_kind("ServiceAccount")}
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    maps = {one["metadata"]["name"] for one in of_kind("ConfigMap")}
    classes = {one["metadata"]["name"] for one in of_kind("PriorityClass")}
    for name, pod in pods():
        spec = pod["spec"]
        assert spec["serviceAccountName"] in accounts, name
        assert {spec.get("priorityClassName")} <= {None, *classes}, name
        assert {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in spec["volumes"]
            if "persistentVolumeClaim" in volume
        } <= claims
        assert {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume} <= {"thaw-s3"}
        referred = [source for one in containers(pod) for source in one.get("envFrom", [])]
        assert {source["configMapRef"]["name"] for source in referred} <= maps
        assert {mount["name"] for one in containers(pod) for mount in one["volumeMounts"]} <= {
            volume["name"] for volume in spec["volumes"]
        }


def test_roles_are_small() -> None:
    assert of_kind("ClusterRole") == of_kind("ClusterRoleBinding") == []
    for role in of_kind("Role", "overlays/cluster"):
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not {"pods/exec", "pods/attach"} & set(rule["resources"])
            if "secrets" in rule["resources"]:
                assert rule["verbs"] == ["get"] and rule["resourceNames"]


def test_bindings_bind_what_exists() -> None:
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind("ServiceAccount")}
    roles = {one["metadata"]["name"] for one in of_kind("Role")}
    for binding in of_kind("RoleBinding"):
        assert binding["roleRef"]["name"] in roles
        assert {(subject["namespace"], subject["name"]) for subject in binding["subjects"]} <= accounts


def test_only_tasks_of_pipelines_get_a_token() -> None:
    given = {one["metadata"]["name"] for one in of_kind("ServiceAccount") if one["automountServiceAccountToken"]}
    assert given == {"thaw-pipeline"}


@pytest.mark.parametrize("name", [name for name in EVERY if name != "argo"])
def test_everything_is_labelled_as_ours(name: str) -> None:
    assert all(one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "thaw" for one in objects(name))
