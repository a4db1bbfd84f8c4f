#include "tools/notp/mirror/mirror_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/notp/mirror/upstream.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/release_source.hpp"
#include "tools/notp/temporary_folder.hpp"

namespace notp::cli {
namespace {

class MirrorCheck {
 public:
  MirrorCheck(const Context& context, const MirrorsConfig& config)
      : context_(context),
        config_(config),
        environment_(config.environment_in_state(context.environment)) {}

  std::vector<MirrorCheckRow> run() {
    if (config_.webhook) add("", "webhook", check_webhook());
    for (const MirrorConfig& mirror : config_.mirrors) {
      add(mirror.name, "files", check_files(mirror));
      add(mirror.name, "registry", check_registry(mirror));
      add(mirror.name, "upstream", check_upstream(mirror));
    }
    return std::move(rows_);
  }

 private:
  void add(const std::string& mirror, std::string what, Result<std::string> result) {
    MirrorCheckRow row{mirror, std::move(what), {}, {}};
    row.message = result ? *std::move(result) : result.error().message;
    if (!result) row.code = result.error().code;
    rows_.push_back(std::move(row));
  }

  Result<std::string> check_webhook() const {
    NOTP_TRY(read_webhook_secret(config_.webhook->secret_file));
    return fmt::format("listens on {}", config_.webhook->listen);
  }

  static Result<std::string> check_files(const MirrorConfig& mirror) {
    NOTP_TRY(mirror.digest());
    return std::string("can be read");
  }

  // What the root says of the mirror's key, and what the registry answers.
  Result<std::string> check_registry(const MirrorConfig& mirror) const {
    const Settings settings = config_.settings_for(mirror, environment_);
    NOTP_ASSIGN(const auto source,
                ReleaseSource::open(settings, environment_, context_.output, mirror.ledger));
    NOTP_ASSIGN(const auto head, source->pull_head());
    const std::string at = head ? fmt::format("v{}", head->release().version) : "no release yet";
    const trust::Delegation* delegation = source->root().delegation_for(mirror.ledger);
    if (delegation == nullptr)
      return fail(ErrorCode::kSignature, fmt::format("root {} lets no key publish {}",
                                                     source->root().version, mirror.ledger.text()));
    if (settings.signing_keys.empty())
      return fmt::format("{}; without a signing key its releases wait for a person", at);
    NOTP_ASSIGN(const auto keys, signing_keys({}, settings));
    for (const PrivateKey& key : keys)
      if (std::ranges::find(delegation->keys, key.public_key()) == delegation->keys.end())
        return fail(
            ErrorCode::kSignature,
            fmt::format("key {} may not publish {}: root {} does not name it for that",
                        key.public_key().keyid(), mirror.ledger.text(), source->root().version));
    if (delegation->threshold > keys.size())
      return fmt::format("{}; its releases wait for {} more", at,
                         counted(delegation->threshold - keys.size(), "signature"));
    return at;
  }

  Result<std::string> check_upstream(const MirrorConfig& mirror) const {
    NOTP_ASSIGN(const TemporaryFolder folder, TemporaryFolder::make("mirror-check"));
    NOTP_ASSIGN(Upstream upstream, Upstream::open(folder.path(), mirror.upstream, environment_));
    NOTP_ASSIGN(const UpstreamTip tip, upstream.look());
    NOTP_TRY(upstream.fetch(tip));
    NOTP_ASSIGN(const std::string signer, upstream.verify(tip));
    NOTP_ASSIGN(const FolderContent content, upstream.content(tip));
    return fmt::format("{} at {}, {}{}", tip.ref, tip.commit.substr(0, 12),
                       counted(content.content.tree->files().size(), "file"),
                       signer.empty() ? "" : ", signed by " + signer);
  }

  const Context& context_;
  const MirrorsConfig& config_;
  const Environment environment_;
  std::vector<MirrorCheckRow> rows_;
};

}  // namespace

std::vector<MirrorCheckRow> check_mirrors(const Context& context, MirrorsConfig config) {
  // The mirror's own folder would get files of whoever asks.
  const auto state = TemporaryFolder::make("mirror-check-state");
  if (!state) return {{"", "files", state.error().message, state.error().code}};
  config.state_dir = state->path();
  return MirrorCheck(context, config).run();
}

}  // namespace notp::cli
