#include "notp-client/pdp/opa_config.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "notp-client/pdp/mask_module.hpp"

namespace notp::pdp {
namespace {

// OPA asks these paths for what its log leaves out; nothing is at the second, so that no event is
// dropped before the agent has counted it.
std::string masks() {
  return fmt::format(
      "  mask_decision: /{0}/mask\n"
      "  drop_decision: /{0}/drop\n",
      kMaskRoot);
}

std::string file_logs(std::string_view file) {
  return fmt::format(
      "# Decisions are written to a file before they are answered, and from there into the "
      "agent's\n"
      "# log. An OPA beside the agent cannot wait until a record is on the disk: what a manifest\n"
      "# calls strict is not strict here. On a full disk OPA answers without writing; the agent\n"
      "# counts OPA's answers and records how many are missing. Needs OPA 1.15 or newer.\n"
      "nd_builtin_cache: true\n"
      "decision_logs:\n"
      "  plugin: file_logger\n"
      "{}"
      "plugins:\n"
      "  file_logger:\n"
      "    path: {}\n"
      "    max_size_mb: {}\n"
      "    max_backups: {}\n"
      "    max_age_days: {}\n",
      masks(), json_string(file), kOpaFileMegabytes, kOpaBackups, kOpaBackupDays);
}

std::string service_logs() {
  return fmt::format(
      "# Decisions are posted to the agent about a second after they are answered: an OPA that "
      "dies\n"
      "# loses those of its last seconds, and what a manifest calls strict is not strict here. "
      "The\n"
      "# agent counts OPA's answers and records how many are missing. Needs OPA 1.12.3 or newer.\n"
      "nd_builtin_cache: true\n"
      "decision_logs:\n"
      "  service: notp\n"
      "{}"
      "  reporting:\n"
      "    min_delay_seconds: {}\n"
      "    max_delay_seconds: {}\n"
      "    upload_size_limit_bytes: {}\n",
      masks(), kOpaUploadSeconds, kOpaUploadSeconds, kOpaUploadBytes);
}

std::string logs_of(const OpaConfigOptions& options) {
  switch (options.logs) {
    case OpaLogs::kFile:
      return file_logs(options.log_file);
    case OpaLogs::kService:
      return service_logs();
    case OpaLogs::kNone:
      break;
  }
  return {};
}

// OPA has these two as flags alone.
constexpr std::string_view kProtected =
    "# This node has a token lane. The agent writes tokens only to an OPA that checks who asks "
    "it:\n"
    "#\n"
    "#   opa run --server --authentication=token --authorization=basic --config-file THIS_FILE\n"
    "#\n"
    "# Without a secret it then answers decisions (POST and GET /v1/data/PATH), /health, /metrics "
    "and\n"
    "# /v1/status, from its first bundle on; the bundle brings data.system.authz, which nothing "
    "else "
    "may\n"
    "# define.\n";

}  // namespace

std::string opa_config(const OpaConfigOptions& options) {
  return fmt::format(
      "{}# OPA needs to read the file of token_path, which the agent makes at its first start "
      "(mode\n"
      "# 0600): run OPA as the agent's user, or give it a copy and name that one here.\n"
      "services:\n"
      "  notp:\n"
      "    url: {}\n"
      "    credentials:\n"
      "      bearer:\n"
      "        token_path: {}\n"
      "    headers:\n"
      "      {}: {}\n"
      "bundles:\n"
      "  notp:\n"
      "    service: notp\n"
      "    resource: bundles/notp\n"
      "    polling:\n"
      "      min_delay_seconds: 1\n"
      "      max_delay_seconds: 5\n"
      "      long_polling_timeout_seconds: {}\n"
      "status:\n"
      "  service: notp\n"
      "{}",
      options.has_tokens ? kProtected : std::string_view(), options.agent_url,
      json_string(options.token_path), kOpaInstanceHeader, options.instance,
      limits::kLongPollMaxMs / 1000, logs_of(options));
}

std::string opa_config(std::string_view agent_url, std::string_view token_path,
                       std::string_view instance) {
  return opa_config({.agent_url = std::string(agent_url),
                     .token_path = std::string(token_path),
                     .instance = std::string(instance)});
}

}  // namespace notp::pdp
