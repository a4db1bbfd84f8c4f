#include "notp-client/agent/core/holdings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/limits.hpp"

namespace notp::agent {
namespace {

// Of one release in one session: a registry that asks for more does not use what it gets.
constexpr size_t kReturnsMax = 4;

// Adds an envelope if it fits into `bytes_left` and the limit on their number.
bool add(std::vector<Bytes>& envelopes, const Bytes& envelope, size_t& bytes_left) {
  if (envelopes.size() == limits::kHeldEnvelopesMax || envelope.size() > bytes_left) return false;
  bytes_left -= envelope.size();
  envelopes.push_back(envelope);
  return true;
}

}  // namespace

void Holdings::begin_session() {
  ++session_;
  times_.clear();
  waiting_.reset();
}

bool Holdings::take(const session::ClientEvent& event) {
  if (const auto* held = std::get_if<session::client_event::HeldWanted>(&event))
    on_held_wanted(held->request);
  else if (const auto* returned = std::get_if<session::client_event::ReturnWanted>(&event))
    on_return_wanted(returned->request);
  else
    return false;
  return true;
}

// Roots get half of the room at most, so that each answer goes on in both.
void Holdings::on_held_wanted(const wire::HeldRequest& request) {
  wire::Held held{.ledger = request.ledger, .releases = {}, .roots = {}, .freshness = {}};
  if (!parts_.releases.follows(request.ledger)) return parts_.registry.send_held(held);
  held.freshness = parts_.trust.last_statement();
  size_t left = limits::kHeldBytesMax - held.freshness.size();
  size_t for_roots = left / 2;
  left -= for_roots;
  for (const store::StoredRoot& root : parts_.trust.root_chain())
    if (root.version > request.root_version && !add(held.roots, root.envelope, for_roots)) break;
  left += for_roots;
  std::vector<const store::StoredRelease*> above;
  for (const store::StoredRelease& release : parts_.releases.of(request.ledger))
    if (release.ref.version > request.above_version) above.push_back(&release);
  std::ranges::sort(above, {}, [](const auto* release) { return release->ref.version; });
  for (const store::StoredRelease* release : above)
    if (!add(held.releases, release->envelope.bytes(), left)) break;
  parts_.registry.send_held(held);
}

const store::StoredRelease* Holdings::stored(const model::LedgerId& ledger,
                                             uint64_t version) const {
  return parts_.releases.follows(ledger) ? parts_.releases.find(ledger, version) : nullptr;
}

Result<ReturnJob> Holdings::job_for(const wire::ReturnRequest& request) {
  const std::string name = fmt::format("{} v{}", request.ledger.text(), request.version);
  const store::StoredRelease* release = stored(request.ledger, request.version);
  if (release == nullptr || release->ref.release_hash != request.release_hash)
    return fail(ErrorCode::kNotFound, fmt::format("this node does not hold release {} of {}",
                                                  request.release_hash.brief(), name));
  if (++times_[{request.ledger, request.version}] > kReturnsMax)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} was given back {} times in this session", name, kReturnsMax));
  ReturnJob job{.session = session_, .release = {release->ref, release->envelope}, .base = {}};
  if (request.base_version != 0)
    if (const store::StoredRelease* base = stored(request.ledger, request.base_version))
      job.base = ReturnedRelease{base->ref, base->envelope};
  return job;
}

void Holdings::on_return_wanted(const wire::ReturnRequest& request) {
  if (is_making_) {
    waiting_ = request;
    return;
  }
  auto job = job_for(request);
  if (!job) return answer(std::unexpected(job.error()));
  is_making_ = true;
  parts_.effects.push_back(effect::GiveBack{*std::move(job)});
}

void Holdings::on_returned(const ReturnJob& job, Result<ReturnedArtifact> artifact) {
  is_making_ = false;
  if (job.session == session_) answer(artifact);
  if (const auto next = std::exchange(waiting_, std::nullopt)) on_return_wanted(*next);
}

void Holdings::answer(const Result<ReturnedArtifact>& artifact) {
  wire::Return head;
  if (artifact) {
    head.base = artifact->base;
  } else {
    head.code = static_cast<uint32_t>(artifact.error().code);
    head.message = artifact.error().message;
  }
  parts_.registry.give_back(std::move(head), artifact ? artifact->bytes : nullptr);
}

}  // namespace notp::agent
