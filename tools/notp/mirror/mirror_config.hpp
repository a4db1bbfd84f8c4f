// Configuration of `notp mirror`: schemas/mirror-config.schema.json.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/http/proxy.hpp"
#include "common/log_config.hpp"
#include "protocol/model/ledger.hpp"
#include "tools/notp/mirror/mirror_core.hpp"
#include "tools/notp/mirror/upstream.hpp"
#include "tools/notp/settings.hpp"

namespace notp::cli {

inline const std::filesystem::path kMirrorConfigFile = "/etc/notp/mirror.yaml";
inline constexpr size_t kWebhookSecretBytesMin = 16, kWebhookSecretBytesMax = 1'024;

struct MirrorTerms {
  uint64_t stale_after_s = 300, expire_after_s = 86'400;
  std::string on_expired = "deny";
};

struct MirrorConfig {
  std::string name;
  model::LedgerId ledger;
  UpstreamConfig upstream;
  OnRewrite on_rewrite = OnRewrite::kHold;
  TimeMs interval_ms = 60'000;
  std::filesystem::path manifest;     // empty: the tree has one
  std::filesystem::path signing_key;  // empty: releases wait for a person
  MirrorTerms terms;
  std::string message;

  // Of all that determines a release of a tip: repository, path, the manifest's content, who may
  // sign. kNotFound, kIo: a file cannot be read.
  Result<Hash> digest() const;
};

struct WebhookConfig {
  std::string listen;
  std::filesystem::path secret_file;
  std::vector<std::string> hosts;
  std::filesystem::path certificate, key;  // empty: plain HTTP
};

struct MirrorsConfig {
  std::filesystem::path file;
  std::string registry, registry_identity, trust_domain;
  std::filesystem::path root, certificate, key, ca;
  http::ProxyConfig proxy;
  std::filesystem::path state_dir;
  std::string health_listen;        // empty: not served
  std::filesystem::path port_file;  // empty: none
  LogConfig log;
  std::optional<WebhookConfig> webhook;
  std::vector<MirrorConfig> mirrors;

  // Paths of the file start at its folder. Variables are NOTP_MIRROR_…. kConfig names what is
  // wrong.
  static Result<MirrorsConfig> load(const std::filesystem::path& file,
                                    const Environment& environment);
  // nullptr: there is none of that name.
  const MirrorConfig* find(const std::string& name) const;
  // "<state_dir>/mirrors/<name>".
  std::filesystem::path folder_of(const MirrorConfig& mirror) const;
  // The settings of a session with the registry for this mirror.
  Settings settings_for(const MirrorConfig& mirror, const Environment& environment) const;
  // The environment in which roots and releases are kept in state_dir, whatever HOME is.
  Environment environment_in_state(Environment environment) const;
};

// Reads the secret that webhooks share. kConfig: the file cannot be used, or the secret is too
// short.
Result<std::string> read_webhook_secret(const std::filesystem::path& file);

}  // namespace notp::cli
