#include "tools/notp/setup/setup_configurations.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"

namespace notp::cli {
namespace {

// A JSON string is also a double-quoted YAML string.

std::string cli_configuration(const SetupPlan& plan, session::Role role, std::string_view more) {
  return fmt::format(
      "# notp as {}. Paths start at this folder.\n"
      "registry: {}\ntrust_domain: {}\nroot: root.envelope\n"
      "tls: {{certificate: {role}.crt, key: {role}.key, ca: ca.crt}}\n{}",
      plan.identity(role).text(), json_string(plan.registry_address()),
      json_string(plan.trust_domain), more, fmt::arg("role", session::role_name(role)));
}

}  // namespace

std::string registry_configuration(const SetupPlan& plan) {
  const auto path = [&](std::string_view name) {
    return json_string(plan.file(fmt::format("registry/{}", name)).string());
  };
  const std::string all = json_string(plan.zone() + "/*");
  return fmt::format(
             "# The registry of {}.\n"
             "trust_domain: {}\nlisten: {}\ndata_dir: {}\nroot: {}\nfreshness: {{private_key: "
             "{}}}\n"
             "tls:\n  certificate: {}\n  key: {}\n  ca: {}\n",
             plan.trust_domain, json_string(plan.trust_domain),
             json_string(fmt::format("{}:{}", plan.listen, plan.ports.sessions)), path("data"),
             path("root.envelope"), path("freshness.key"), path("registry.crt"),
             path("registry.key"), path("ca.crt")) +
         fmt::format(
             "# Where nodes join, and where their tokens send them.\n"
             "enroll:\n  listen: {}\n  address: {}\n  registry: {}\n"
             "  authority_certificate: {}\n  authority_key: {}\n"
             "# Who is let in no more: 'notp node evict' publishes it.\ndeny_list: {}\n"
             "# /health and /metrics.\nhealth_listen: {}\n",
             json_string(fmt::format("{}:{}", plan.listen, plan.ports.enroll)),
             json_string(plan.enroll_address()), json_string(plan.registry_address()),
             path("node-ca.crt"), path("node-ca.key"), json_string(plan.zone() + "/denied"),
             json_string(fmt::format("127.0.0.1:{}", plan.ports.health))) +
         fmt::format(
             "# What no entry grants is denied.\nrights:\n"
             "  - {{identity: {}, ledgers: [{all}], actions: [read, publish, fleet]}}\n"
             "  - {{identity: {}, ledgers: [{all}], actions: [read, fleet, trust, enroll, "
             "audit]}}\n"
             "  - {{identity: \"node/*\", ledgers: [{all}], actions: [read]}}\n",
             json_string("publisher/" + plan.publisher), json_string("admin/" + plan.admin),
             fmt::arg("all", all));
}

std::string publisher_configuration(const SetupPlan& plan) {
  return cli_configuration(
      plan, session::Role::kPublisher,
      fmt::format("signing_key: signing.key\nledger: {}\n", json_string(plan.ledger.text())));
}

std::string admin_configuration(const SetupPlan& plan) {
  return cli_configuration(plan, session::Role::kAdmin, {});
}

}  // namespace notp::cli
