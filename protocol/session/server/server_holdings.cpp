#include "protocol/session/server/server_holdings.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "common/limits.hpp"
#include "protocol/session/server/session_limits.hpp"
#include "protocol/session/session_base.hpp"

namespace notp::session {
namespace {

size_t bytes_of(const wire::Held& held) {
  const auto sum = [](size_t bytes, const Bytes& envelope) { return bytes + envelope.size(); };
  const size_t releases =
      std::accumulate(held.releases.begin(), held.releases.end(), held.freshness.size(), sum);
  return std::accumulate(held.roots.begin(), held.roots.end(), releases, sum);
}

}  // namespace

// --- questions

Result<void> ServerHoldings::ask_held(const wire::HeldRequest& request) {
  Questions& questions = questions_[request.ledger];
  if (questions.asked == limits::kHeldRequestsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("this node was asked {} times in this session what it holds of {}",
                            questions.asked, request.ledger.text()));
  ++questions.asked;
  ++questions.unanswered;
  context_.output.send(request);
  return {};
}

Result<void> ServerHoldings::ask_return(const wire::ReturnRequest& request, Now now) {
  if (open_)
    return fail(ErrorCode::kConflict,
                fmt::format("this node still owes {} v{}", open_->request.ledger.text(),
                            open_->request.version));
  open_.emplace(OpenReturn{request, now.boot_ms + limits::kReturnAnswerMs, {}});
  context_.output.send(request);
  return {};
}

// --- answers

Result<void> ServerHoldings::on_message(wire::Held&& held, Now) {
  const auto questions = questions_.find(held.ledger);
  if (questions == questions_.end() || questions->second.unanswered == 0)
    return fail(ErrorCode::kState, "a Held of a ledger that was not asked about");
  if (const size_t bytes = bytes_of(held); bytes > limits::kHeldBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("{} bytes of envelopes in one Held; at most {} are "
                                               "taken",
                                               bytes, limits::kHeldBytesMax));
  --questions->second.unanswered;
  context_.events.push_back(server_event::HeldArrived{std::move(held)});
  return {};
}

Result<void> ServerHoldings::on_message(wire::Return&& answer, Now now) {
  if (!open_ || open_->artifact || answer.request != open_->request.request)
    return fail(ErrorCode::kState, "a Return that was not asked for");
  if (answer.base && answer.base->version != open_->request.base_version)
    return fail(ErrorCode::kState, fmt::format("a Return that starts from v{}, asked for was v{}",
                                               answer.base->version, open_->request.base_version));
  if (answer.code != 0) {
    if (std::exchange(open_->answer_due_ms, kNever) != kNever) report(std::move(answer), nullptr);
    open_.reset();
    return {};
  }
  auto space = std::exchange(open_->answer_due_ms, kNever) == kNever
                   ? Result<std::unique_ptr<Upload>>(nullptr)  // the host does not wait any longer
                   : open_upload(context_, answer.size);
  open_->head = std::move(answer);
  open_->artifact.emplace(space ? *std::move(space) : nullptr, open_->head.size, now);
  if (!space) give_up(space.error());
  return {};
}

Result<void> ServerHoldings::on_message(const wire::Chunk& chunk, Now now) {
  IncomingUpload& artifact = *open_->artifact;
  if (auto kept = artifact.append(chunk.bytes, now); !kept) {
    if (kept.error().code == ErrorCode::kState) return kept;
    give_up(kept.error());
  }
  if (!artifact.complete()) return {};
  if (auto upload = artifact.take()) report(std::move(open_->head), std::move(upload));
  open_.reset();
  return {};
}

void ServerHoldings::give_up(const Error& error) {
  open_->artifact->drop();
  report({.request = open_->request.request,
          .base = {},
          .code = static_cast<uint32_t>(error.code),
          .message = error.message},
         nullptr);
}

void ServerHoldings::report(wire::Return head, std::unique_ptr<Upload> artifact) {
  context_.events.push_back(server_event::ReturnArrived{std::move(head), std::move(artifact)});
}

TimeMs ServerHoldings::next_deadline() const {
  if (!open_) return kNever;
  return open_->artifact ? open_->artifact->deadline() : open_->answer_due_ms;
}

// A node that does not answer may not know the question. It is not asked again before it has.
void ServerHoldings::on_deadline(Now) {
  if (open_->artifact) return context_.output.refuse(silent_peer(), 0);
  open_->answer_due_ms = kNever;
  report({.request = open_->request.request,
          .base = {},
          .code = static_cast<uint32_t>(ErrorCode::kTimeout),
          .message =
              fmt::format("the node gave no answer within {} s", limits::kReturnAnswerMs / 1000)},
         nullptr);
}

}  // namespace notp::session
