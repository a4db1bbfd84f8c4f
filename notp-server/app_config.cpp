#include "notp-server/app_config.hpp"

#include "common/limits.hpp"
#include "protocol/transport/identity_config.hpp"
#include "schemas/embedded.hpp"

namespace notp {
namespace {

Result<RightsRule> right_of(const std::string& identity, const TlsFiles& tls) {
  NOTP_ASSIGN(IdentityPattern who, IdentityPattern::parse(identity, tls.trust_domain));
  const bool may_be_node =
      tls.identities.may_give(Role::kNode, who, tls.trust_domain, tls.has_built_in_ids());
  return RightsRule{
      .identity = std::move(who), .may_be_node = may_be_node, .ledgers = {}, .actions = {}};
}

Result<std::vector<RightsRule>> rights_of(const json::value& config, const TlsFiles& tls) {
  std::vector<RightsRule> rules;
  for (const json::value& entry : config_find(config, "rights")->as_array()) {
    auto right = right_of(config_text(entry, "identity"), tls);
    if (!right) return std::unexpected(std::move(right).error().in("rights"));
    RightsRule rule = *std::move(right);
    for (const json::value& ledger : entry.at("ledgers").as_array())
      rule.ledgers.emplace_back(ledger.as_string());
    for (const json::value& action : entry.at("actions").as_array()) {
      NOTP_ASSIGN(const Action parsed, parse_action(action.as_string()));
      rule.actions.push_back(parsed);
    }
    if (const json::value* nodes = entry.as_object().if_contains("nodes")) {
      rule.nodes.clear();
      for (const json::value& node : nodes->as_array()) rule.nodes.emplace_back(node.as_string());
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string text_or_empty(const json::value& config, std::string_view path) {
  const json::value* found = config_find(config, path);
  return found ? std::string(found->as_string()) : std::string();
}

size_t size_of(const json::value& config, std::string_view path) {
  return static_cast<size_t>(config_integer(config, path));
}

Result<FreshnessOptions> freshness_of(const json::value& config) {
  FreshnessOptions out{.private_key = text_or_empty(config, "freshness.private_key"),
                       .interval_ms = config_integer(config, "freshness.interval_s") * 1'000,
                       .lifetime_ms = config_integer(config, "freshness.lifetime_s") * 1'000};
  if (out.interval_ms >= out.lifetime_ms)
    return fail(ErrorCode::kConfig,
                "freshness.lifetime_s must be above freshness.interval_s, or a statement ends "
                "before the next one comes");
  return out;
}

std::optional<EnrollConfig> enroll_of(const json::value& config, const TlsFiles& tls) {
  if (!config_find(config, "enroll")) return std::nullopt;
  EnrollConfig out{.listen = config_text(config, "enroll.listen"),
                   .address = text_or_empty(config, "enroll.address"),
                   .registry = text_or_empty(config, "enroll.registry"),
                   .port_file = text_or_empty(config, "enroll.port_file"),
                   .authority = {}};
  std::filesystem::path authorities = text_or_empty(config, "enroll.authorities");
  // Of several authorities an enrolled node trusts those that may name a registry.
  if (authorities.empty())
    authorities = tls.built_in_authorities.empty() ? tls.authorities : tls.built_in_authorities;
  out.authority = {.certificate = config_text(config, "enroll.authority_certificate"),
                   .private_key = config_text(config, "enroll.authority_key"),
                   .authorities = std::move(authorities),
                   .lifetime_ms = config_integer(config, "enroll.certificate_hours") * 3'600'000};
  return out;
}

}  // namespace

Result<ServerConfig> ServerConfig::load(const std::filesystem::path& file,
                                        const Environment& environment) {
  NOTP_ASSIGN(const json::value config, load_config({.file = file,
                                                     .schema = schemas::kServerConfig,
                                                     .env_prefix = "NOTP_SERVER",
                                                     .environment = environment}));
  ServerConfig out;
  out.trust_domain = config_text(config, "trust_domain");
  out.data_dir = config_text(config, "data_dir");
  out.root = config_text(config, "root");
  out.port_file = text_or_empty(config, "port_file");
  out.health_listen = text_or_empty(config, "health_listen");
  out.tls = {config_text(config, "tls.certificate"), config_text(config, "tls.key"),
             config_text(config, "tls.ca"), out.trust_domain,
             config_find(config, "tls.allow_p384")->as_bool()};
  NOTP_TRY(read_identities(config, out.tls));
  out.service = {.serve = {.listen = config_text(config, "listen"),
                           .threads = size_of(config, "threads"),
                           .limits = {.sessions_max = size_of(config, "limits.sessions"),
                                      .sessions_per_identity_max =
                                          size_of(config, "limits.sessions_per_identity")}},
                 .workers = size_of(config, "workers"),
                 .validations_at_once = size_of(config, "validation.at_once")};
  out.service.builtins = BuiltinGrants(config_find(config, "validation.allow")->as_array());
  out.validation_worker = text_or_empty(config, "validation.worker");
  out.artifact_cache_bytes = size_of(config, "artifact_cache_bytes");
  out.artifact_recompress_level =
      static_cast<int>(config_integer(config, "artifact_recompress_level"));
  out.snapshot_memory_bytes = size_of(config, "snapshot_memory_bytes");
  NOTP_ASSIGN(out.log_level, log::parse_level(config_text(config, "log.level")));
  NOTP_ASSIGN(out.log_format, log::parse_format(config_text(config, "log.format")));
  NOTP_ASSIGN(out.freshness, freshness_of(config));
  if (const std::string text = text_or_empty(config, "deny_list"); !text.empty()) {
    NOTP_ASSIGN(out.deny_list, LedgerId::parse(text));
  }
  out.enroll = enroll_of(config, out.tls);
  NOTP_ASSIGN(out.rights, rights_of(config, out.tls));
  return out;
}

}  // namespace notp
