#include "tools/bench/publisher.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp::bench {

Result<std::unique_ptr<Publisher>> Publisher::connect(cli::Settings settings,
                                                      std::string trust_domain,
                                                      model::LedgerId ledger, cli::RootPtr root) {
  std::unique_ptr<Publisher> publisher(new Publisher(std::move(settings), std::move(trust_domain),
                                                     std::move(ledger), std::move(root)));
  NOTP_TRY(publisher->ensure_session());
  return publisher;
}

Result<void> Publisher::ensure_session() {
  const TimeMs now_ms = read_clock().boot_ms;
  if (!client_ || now_ms - used_ms_ > limits::kPingMs) {
    NOTP_ASSIGN(client_,
                cli::RegistryClient::connect(settings_, trust_domain_, root_->version, {}));
  }
  used_ms_ = now_ms;
  return {};
}

Result<Publisher::Prepared> Publisher::prepare(const model::ModelContent& content,
                                               const std::vector<std::string>& roots) {
  cli::ReleaseDraft draft;
  draft.ledger = ledger_;
  draft.head = head_;
  draft.content = content;
  draft.data_roots = roots;
  NOTP_ASSIGN(cli::SignedRelease made, cli::sign_release(draft, {}, settings_, root_));
  const delta::ReleaseContent target{made.envelope, content.tree.get(), content.loader()};
  delta::ReleaseContent base;
  if (head_) base = {head_->verified.envelope, head_->content.tree.get(), head_->content.loader()};
  NOTP_ASSIGN(Bytes artifact, delta::encode_artifact(head_ ? &base : nullptr, target));
  auto release = std::make_shared<cli::PulledRelease>();
  release->verified = {made.ref, std::move(made.envelope)};
  release->root_version = root_->version;
  release->content = content;
  return Prepared{std::move(release), std::make_shared<const Bytes>(std::move(artifact))};
}

Result<uint64_t> Publisher::publish(const Prepared& prepared) {
  NOTP_TRY(ensure_session());
  wire::Publish publish;
  publish.ledger = ledger_;
  publish.version = prepared.release->release().version;
  publish.message = "a change to measure";
  if (head_) {
    publish.base = wire::Base{head_->release().version, head_->release().content_root};
    publish.expected_head_hash = head_->verified.ref.release_hash;
  }
  const cli::Output quiet(cli::Output::Options{});
  cli::Progress progress(quiet, "");
  NOTP_ASSIGN(const wire::PublishResult result,
              client_->publish(std::move(publish), prepared.artifact, progress));
  if (result.code != 0) {
    std::string findings;
    for (const wire::Finding& finding : result.findings)
      findings += fmt::format("\n{}:{}: {}", finding.path, finding.line, finding.message);
    return fail(error_code_from_wire(result.code), result.message + findings);
  }
  head_ = prepared.release;
  return result.version;
}

}  // namespace notp::bench
