#include "notp-client/pdp/opa_token_link.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/log.hpp"
#include "common/random.hpp"
#include "common/spawn.hpp"

namespace notp::pdp {

namespace asio = boost::asio;

namespace {

// A large list is one operation; an OPA that takes longer is as good as gone.
constexpr int64_t kCallMs = 30'000;

TimeMs now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string unique_name() {
  SystemRandom random;
  return fmt::format("{:016x}{:016x}", random.next_u64(), random.next_u64());
}

// `hash` becomes that of the proof.
std::string new_proof(Hash& hash) {
  std::string proof = unique_name() + unique_name();
  hash = sha256(proof);
  return proof;
}

}  // namespace

OpaTokenLink::OpaTokenLink(asio::any_io_executor agent, std::string url, OpaTokensOptions options)
    : agent_(std::move(agent)),
      url_(std::move(url)),
      options_(std::move(options)),
      core_(unique_name(), new_proof(proof_), options_.limits),
      timer_(agent_) {}

void OpaTokenLink::start() { spawn(agent_, run(shared_from_this())); }

void OpaTokenLink::close() {
  is_closed_ = true;
  lost_ = nullptr;
  wake();
}

void OpaTokenLink::apply(lane::TableUpdate update, std::function<void(Result<void>)> done) {
  core_.apply(std::move(update), std::move(done));
  wake();
}

void OpaTokenLink::on_lost(std::function<void()> callback) {
  lost_ = std::move(callback);
  wake();
}

void OpaTokenLink::on_status() {
  core_.on_status(now_ms());
  wake();
}

void OpaTokenLink::wake() { timer_.cancel(); }

void OpaTokenLink::tell() {
  auto finished = core_.take_finished();
  tell_status();
  for (auto& [done, result] : finished)
    if (!is_closed_) done(std::move(result));
  if (lost_ && core_.take_lost()) lost_();
}

void OpaTokenLink::tell_status() {
  const auto before = told_.get();
  const auto now = std::make_shared<const OpaTokensStatus>(core_.status());
  if (*now == *before) return;
  told_.set(now);
  const bool has_changed = now->state != before->state || now->finding != before->finding;
  const std::string_view state = opa_tokens_state_name(now->state);
  if (has_changed && now->finding.empty())
    log::info("opa_tokens", {{"state", state}});
  else if (has_changed)
    log::warn("opa_tokens_missing", {{"state", state}, {"message", now->finding}});
  if (options_.on_change && !is_closed_) options_.on_change(*now);
}

asio::awaitable<void> OpaTokenLink::run(std::shared_ptr<OpaTokenLink> self) {
  while (!self->is_closed_) {
    self->tell();
    if (auto what = self->core_.next(now_ms()))
      co_await self->call(*std::move(what));
    else
      co_await self->wait();
  }
}

asio::awaitable<void> OpaTokenLink::wait() {
  const auto deadline_ms = core_.next_deadline();
  timer_.expires_at(
      deadline_ms ? std::chrono::steady_clock::time_point(std::chrono::milliseconds(*deadline_ms))
                  : std::chrono::steady_clock::time_point::max());
  co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> OpaTokenLink::call(OpaTokensCall what) {
  http::Call call{.method = std::move(what.method),
                  .url = url_ + what.path,
                  .body = std::move(what.body),
                  .deadline_ms = kCallMs};
  if (what.has_secret) call.headers.emplace_back("Authorization", "Bearer " + options_.secret);
  if (!what.content_type.empty()) call.headers.emplace_back("Content-Type", what.content_type);
  const auto answer = co_await client_.call(std::move(call));
  if (answer)
    core_.on_answer(answer->status, answer->body, now_ms());
  else
    core_.on_answer(0, answer.error().message, now_ms());
}

}  // namespace notp::pdp
