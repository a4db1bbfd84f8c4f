#include "tools/notp/mirror/mirror_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/config_section.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "schemas/embedded.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSignersFileBytesMax = 1 << 20;

// Reads paths of one file's sections: relative ones start at its folder.
class Paths {
 public:
  explicit Paths(const fs::path& file) : folder_(fs::absolute(file).parent_path()) {}
  fs::path operator()(const config::Section& section, std::string_view key) const {
    const std::string text = section.text_or_empty(key);
    return text.empty() ? fs::path() : folder_ / text;
  }

 private:
  fs::path folder_;
};

// The defaults of the schema are not filled in below a list.
int64_t integer_or(const config::Section& section, std::string_view key, int64_t otherwise) {
  return section.has(key) ? section.integer(key) : otherwise;
}

VerifyMode verify_mode(const std::string& text) {
  if (text == "head") return VerifyMode::kHead;
  if (text == "tag") return VerifyMode::kTag;
  if (text == "tag-and-head") return VerifyMode::kTagAndHead;
  return VerifyMode::kNone;
}

// A '/' at the end means nothing.
std::string trimmed(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path;
}

UpstreamConfig load_upstream(const config::Section& mirror, const Paths& paths) {
  UpstreamConfig out;
  out.repository = mirror.text("repository");
  out.branch = mirror.text_or_empty("branch");
  out.tag_pattern = mirror.text_or_empty("tags");
  out.path = trimmed(mirror.text_or_empty("path"));
  out.verify = verify_mode(mirror.text("verify"));
  out.allowed_signers = paths(mirror, "allowed_signers");
  out.revoked_signers = paths(mirror, "revoked_signers");
  out.gpg_home = paths(mirror, "gpg_home");
  out.signers_min = static_cast<uint32_t>(integer_or(mirror, "signers_min", 1));
  out.username = mirror.text_or_empty("username");
  out.password_file = paths(mirror, "password_file");
  out.ssh_key = paths(mirror, "ssh_key");
  out.known_hosts = paths(mirror, "known_hosts");
  out.ca = paths(mirror, "ca");
  out.certificate = paths(mirror, "certificate");
  out.certificate_key = paths(mirror, "certificate_key");
  out.disk_bytes_max = static_cast<uint64_t>(
      integer_or(mirror, "disk_bytes_max", static_cast<int64_t>(out.disk_bytes_max)));
  out.deadline_ms = integer_or(mirror, "deadline_s", out.deadline_ms / 1'000) * 1'000;
  out.allow_insecure = mirror.has("allow_insecure") && mirror.flag("allow_insecure");
  return out;
}

Result<MirrorConfig> load_mirror(const config::Section& section, const Paths& paths,
                                 const fs::path& signing_key) {
  MirrorConfig out;
  out.name = section.text("name");
  NOTP_ASSIGN(out.ledger, model::LedgerId::parse(section.text("ledger")));
  out.upstream = load_upstream(section, paths);
  out.on_rewrite =
      section.text_or_empty("on_rewrite") == "follow" ? OnRewrite::kFollow : OnRewrite::kHold;
  out.interval_ms = integer_or(section, "interval_s", out.interval_ms / 1'000) * 1'000;
  out.manifest = paths(section, "manifest");
  out.signing_key = section.has("signing_key") ? paths(section, "signing_key") : signing_key;
  const auto seconds = [&](std::string_view key, uint64_t otherwise) {
    return static_cast<uint64_t>(integer_or(section, key, static_cast<int64_t>(otherwise)));
  };
  out.terms.stale_after_s = seconds("terms.stale_after_s", out.terms.stale_after_s);
  out.terms.expire_after_s = seconds("terms.expire_after_s", out.terms.expire_after_s);
  if (section.has("terms.on_expired")) out.terms.on_expired = section.text("terms.on_expired");
  out.message = section.text_or_empty("message");
  if (out.message.empty()) out.message = fmt::format("Mirror {}", out.upstream.repository);
  return out;
}

// What the schema cannot say.
Result<void> check_mirror(const MirrorConfig& mirror) {
  const UpstreamConfig& upstream = mirror.upstream;
  const auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::kConfig, fmt::format("mirror '{}': {}", mirror.name, what));
  };
  if (upstream.branch.empty() == upstream.tag_pattern.empty())
    return refuse("give one of branch and tags");
  const bool needs_tag =
      upstream.verify == VerifyMode::kTag || upstream.verify == VerifyMode::kTagAndHead;
  if (needs_tag && upstream.tag_pattern.empty())
    return refuse("verify asks for a signed tag, which a branch does not have: use tags");
  const bool has_signers = !upstream.allowed_signers.empty() || !upstream.gpg_home.empty();
  if (upstream.verify != VerifyMode::kNone && !has_signers)
    return refuse("verify needs allowed_signers or gpg_home");
  if (upstream.verify == VerifyMode::kNone && (has_signers || upstream.signers_min > 1))
    return refuse("verify: none looks at no signature, though signers are named");
  if (mirror.terms.stale_after_s > mirror.terms.expire_after_s)
    return refuse("terms: stale_after_s is later than expire_after_s");
  return {};
}

Result<void> check_distinct(const std::vector<MirrorConfig>& mirrors) {
  std::set<std::string> names, ledgers;
  for (const MirrorConfig& mirror : mirrors) {
    if (!names.insert(mirror.name).second)
      return fail(ErrorCode::kConfig, fmt::format("two mirrors are called '{}'", mirror.name));
    if (!ledgers.insert(mirror.ledger.text()).second)
      return fail(ErrorCode::kConfig,
                  fmt::format("two mirrors publish {}: each would undo the other's releases",
                              mirror.ledger.text()));
  }
  return {};
}

Result<std::optional<WebhookConfig>> load_webhook(const config::Section& root, const Paths& paths) {
  if (!root.has("webhook")) return std::nullopt;
  const config::Section section = root.section("webhook");
  WebhookConfig out{.listen = section.text("listen"),
                    .secret_file = paths(section, "secret_file"),
                    .hosts = section.texts("hosts"),
                    .certificate = paths(section, "certificate"),
                    .key = paths(section, "key")};
  if (out.certificate.empty() != out.key.empty())
    return fail(ErrorCode::kConfig, "webhook: certificate and key go together");
  return out;
}

// The content of a file that decides what a release is; one that is not configured counts as empty.
Result<Bytes> content_of(const fs::path& file, size_t bytes_max) {
  if (file.empty()) return Bytes();
  return read_file(file, bytes_max);
}

}  // namespace

Result<Hash> MirrorConfig::digest() const {
  NOTP_ASSIGN(const Bytes own_manifest, content_of(manifest, limits::kManifestBytesMax));
  NOTP_ASSIGN(const Bytes signers, content_of(upstream.allowed_signers, kSignersFileBytesMax));
  NOTP_ASSIGN(const Bytes revoked, content_of(upstream.revoked_signers, kSignersFileBytesMax));
  const json::array parts{upstream.repository,
                          upstream.branch,
                          upstream.tag_pattern,
                          upstream.path,
                          static_cast<int>(upstream.verify),
                          upstream.signers_min,
                          upstream.gpg_home.string(),
                          sha256(own_manifest).hex(),
                          sha256(signers).hex(),
                          sha256(revoked).hex(),
                          on_rewrite == OnRewrite::kFollow};
  return sha256(json::serialize(parts));
}

Result<MirrorsConfig> MirrorsConfig::load(const fs::path& file, const Environment& environment) {
  NOTP_ASSIGN(const json::value document, load_config({.file = file,
                                                       .schema = schemas::kMirrorConfig,
                                                       .env_prefix = "NOTP_MIRROR",
                                                       .environment = environment}));
  const config::Section root(document);
  const Paths paths(file);
  MirrorsConfig out;
  out.file = fs::absolute(file);
  out.registry = root.text("registry");
  out.registry_identity = root.text_or_empty("registry_identity");
  out.trust_domain = root.text_or_empty("trust_domain");
  out.root = paths(root, "root");
  out.certificate = paths(root, "tls.certificate");
  out.key = paths(root, "tls.key");
  out.ca = paths(root, "tls.ca");
  out.proxy = {.url = root.text_or_empty("proxy"),
               .password_file = paths(root, "proxy_password_file")};
  if (!out.proxy.url.empty()) out.proxy.source = fmt::format("proxy of {}", file.string());
  out.state_dir = paths(root, "state_dir");
  out.health_listen = root.text_or_empty("health_listen");
  out.port_file = paths(root, "port_file");
  NOTP_ASSIGN(out.log, load_log(root.section("log")));
  NOTP_ASSIGN(out.webhook, load_webhook(root, paths));
  for (const json::value& element : root.elements("mirrors")) {
    NOTP_ASSIGN(MirrorConfig mirror,
                load_mirror(config::Section(element), paths, paths(root, "signing_key")));
    NOTP_TRY(check_mirror(mirror));
    out.mirrors.push_back(std::move(mirror));
  }
  NOTP_TRY(check_distinct(out.mirrors));
  return out;
}

const MirrorConfig* MirrorsConfig::find(const std::string& name) const {
  const auto found = std::ranges::find(mirrors, name, &MirrorConfig::name);
  return found == mirrors.end() ? nullptr : &*found;
}

fs::path MirrorsConfig::folder_of(const MirrorConfig& mirror) const {
  return state_dir / "mirrors" / mirror.name;
}

Settings MirrorsConfig::settings_for(const MirrorConfig& mirror,
                                     const Environment& environment) const {
  Settings out;
  out.registry = registry;
  out.registry_identity = registry_identity;
  out.certificate = certificate;
  out.key = key;
  out.ca = ca;
  out.trust_domain = trust_domain;
  out.root = root;
  out.ledger = mirror.ledger.text();
  if (!mirror.signing_key.empty()) out.signing_keys.push_back(mirror.signing_key);
  out.proxy = proxy;
  out.environment = environment;
  return out;
}

Environment MirrorsConfig::environment_in_state(Environment environment) const {
  environment["XDG_CACHE_HOME"] = (state_dir / "cache").string();
  environment["XDG_STATE_HOME"] = (state_dir / "roots").string();
  return environment;
}

Result<std::string> read_webhook_secret(const fs::path& file) {
  NOTP_ASSIGN(std::string secret, read_private_file(file, kWebhookSecretBytesMax));
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.size() >= kWebhookSecretBytesMin) return secret;
  return std::unexpected(Error{
      ErrorCode::kConfig,
      fmt::format("{} has a secret of {} bytes; at least {} are needed", file.string(),
                  secret.size(), kWebhookSecretBytesMin),
      {}}.with("hint", "'openssl rand -hex 32' makes one"));
}

}  // namespace notp::cli
