#include "tools/notp/root/root_chain.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// One chain for each pinned file: a new setup of a trust domain starts a new chain.
std::optional<fs::path> state_folder(const Environment& environment, const trust::Root& pinned,
                                     ByteView bytes) {
  const auto variable = [&](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  const std::string state = variable("XDG_STATE_HOME"), home = variable("HOME");
  if (state.empty() && home.empty()) return std::nullopt;
  const fs::path base = state.empty() ? fs::path(home) / ".local/state" : fs::path(state);
  return base / "notp" / pinned.trust_domain / sha256(bytes).hex().substr(0, 16);
}

fs::path file_name(uint64_t version) { return fmt::format("{}.envelope", version); }

struct Pinned {
  RootPtr root;
  Bytes bytes;
};

Result<Pinned> read_pinned(const Settings& settings, std::vector<trust::VerifyStep>* steps) {
  if (settings.root.empty())
    return std::unexpected(Error{
        ErrorCode::kUsage,
        "no root is pinned, so that no release could be verified",
        {}}.with("hint", "give --root FILE, NOTP_ROOT, or 'root:' in the configuration"));
  Pinned pinned;
  NOTP_ASSIGN(pinned.bytes, read_file(settings.root, limits::kEnvelopeBytesMax));
  std::string domain = settings.trust_domain;
  if (domain.empty()) {
    // A pinned root names its domain; verify_pinned_root checks everything else.
    NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(pinned.bytes));
    NOTP_ASSIGN(const trust::Root root, trust::Root::decode(envelope.payload));
    domain = root.trust_domain;
  }
  auto root = trust::verify_pinned_root(pinned.bytes, domain, steps);
  if (!root) return std::unexpected(std::move(root).error().in(settings.root.string()));
  pinned.root = std::make_shared<const trust::Root>(*std::move(root));
  return pinned;
}

// Verifies one step of the chain.
Result<trust::VerifiedRoot> verify_next(const RootPtr& newest, ByteView envelope, TimeMs now_ms,
                                        std::vector<trust::VerifyStep>* steps) {
  trust::Trusted trusted;
  trusted.root = newest;
  trust::Update update;
  update.root_chain = {envelope};
  trust::Verdict verdict = trust::verify_update(update, trusted, now_ms, steps);
  if (verdict.error) return std::unexpected(*std::move(verdict.error));
  return std::move(verdict.root_chain.front());
}

}  // namespace

Result<RootChain> RootChain::load(const Settings& settings, const Environment& environment,
                                  std::vector<trust::VerifyStep>* steps) {
  NOTP_ASSIGN(Pinned pinned, read_pinned(settings, steps));
  RootChain chain(std::move(pinned.root));
  chain.folder_ = state_folder(environment, *chain.newest(), pinned.bytes);
  if (!chain.folder_) return chain;
  if (auto read = chain.read_followers(*chain.folder_, steps); !read)
    return std::unexpected(
        std::move(read).error().with("hint", fmt::format("{} holds the roots seen so far; when a "
                                                         "person has looked at it, remove it",
                                                         chain.folder_->string())));
  return chain;
}

Result<RootChain> RootChain::read(const Settings& settings, const fs::path& folder,
                                  std::vector<trust::VerifyStep>* steps) {
  NOTP_ASSIGN(Pinned pinned, read_pinned(settings, steps));
  RootChain chain(std::move(pinned.root));
  NOTP_TRY(chain.read_followers(folder, steps));
  return chain;
}

Result<void> RootChain::read_followers(const fs::path& folder,
                                       std::vector<trust::VerifyStep>* steps) {
  for (size_t count = 0; count < limits::kRootStepsMax; ++count) {
    const fs::path file = folder / file_name(newest()->version + 1);
    const auto bytes = read_file(file, limits::kEnvelopeBytesMax);
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) return {};
    if (!bytes) return std::unexpected(bytes.error());
    auto next = verify_next(newest(), *bytes, /*now_ms=*/0, steps);
    if (!next) return std::unexpected(std::move(next).error().in(file.string()));
    roots_.push_back(std::move(next->root));
  }
  return {};
}

Result<void> RootChain::extend(std::span<const Bytes> envelopes, TimeMs now_ms) {
  for (const Bytes& envelope : envelopes) {
    if (const auto decoded = trust::Envelope::decode(envelope); decoded) {
      const auto root = trust::Root::decode(decoded->payload);
      if (root && root->version <= newest()->version) continue;
    }
    NOTP_ASSIGN(trust::VerifiedRoot next, verify_next(newest(), envelope, now_ms, nullptr));
    if (folder_) {
      NOTP_TRY(make_folders(*folder_));
      NOTP_TRY(write_file(*folder_ / file_name(next.root->version), next.envelope));
    }
    roots_.push_back(std::move(next.root));
  }
  return {};
}

Result<void> RootChain::check_expiry(TimeMs now_ms) const {
  const trust::Root& root = *newest();
  if (root.expires_ms == 0 || now_ms < root.expires_ms) return {};
  return std::unexpected(Error{
      ErrorCode::kExpired,
      fmt::format("root {} of {} expired on {}, and the registry has no newer one", root.version,
                  root.trust_domain, utc_time(root.expires_ms)),
      {}}.with("hint",
               "the holders of the root keys make the next one: 'notp root set-expiry', "
               "'notp root sign', 'notp root publish'"));
}

void RootChain::warn_of_expiry(const Output& output, TimeMs now_ms) const {
  if (const std::string text = trust::root_expiry_text(*newest(), now_ms); !text.empty())
    output.note("warning: " + text);
}

fs::path RootChain::file_of(uint64_t version) const {
  return folder_.value_or(fs::path()) / file_name(version);
}

}  // namespace notp::cli
