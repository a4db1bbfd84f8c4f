// The engine's shell: the token lane's table in its workers.
#include <boost/asio/post.hpp>

#include "common/mutex.hpp"
#include "common/rego/host/engine_state.hpp"

namespace notp::rego {

void Engine::State::feed_tokens(TokenUpdate update, ActivationDone done) {
  MutexLock lock(mutex_);
  if (is_stopped_) {
    lock.unlock();
    boost::asio::post(executor_, [d = std::move(done)] {
      d(fail(ErrorCode::kCancelled, "the policy engine ends"));
    });
    return;
  }
  if (update.is_whole) tokens_.shards.clear();
  for (auto& [key, shard] : update.shards) {
    if (shard.base || shard.delta)
      tokens_.shards.insert_or_assign(key, std::move(shard));
    else
      tokens_.shards.erase(key);
  }
  tokens_.readout = std::move(update.readout);
  feeds_.emplace(++tokens_number_, std::move(done));
  Rest rest;
  for (Worker& worker : workers_) send_tokens(worker, rest);
  finish_feeds(rest);
  lock.unlock();
  finish(std::move(rest), false);
}

void Engine::State::send_tokens(Worker& worker, Rest& rest) {
  if (!worker.link || !worker.is_greeted || tokens_number_ == 0) return;
  // Not next_request_id itself: the analysis does not see through std::function.
  const std::function<uint32_t()> next_id = [this]()
                                                NOTP_REQUIRES(mutex_) { return next_request_id(); };
  for (OutgoingFrame& frame : worker.tokens.update(tokens_, tokens_number_, next_id)) {
    worker.link->queue(std::move(frame));
    rest.to_flush.push_back(worker.link);
  }
}

void Engine::State::on_tokens(WorkerLink& link, const IncomingFrame& frame) {
  const auto status = decode_status(frame.payload);
  MutexLock lock(mutex_);
  if (is_stopped_ || link_of(link.ref()) != &link) return;
  Rest rest;
  if (status && std::holds_alternative<ByteView>(*status)) {
    Worker& worker = workers_[link.ref().slot];
    worker.tokens.answered(frame.id);
    send_tokens(worker, rest);
    finish_feeds(rest);
  } else {
    const std::string why = status ? std::get<Failure>(*status).message : status.error().message;
    core_.worker_misbehaved(link.ref(),
                            {ErrorCode::kInternal, "the policy worker refused tokens: " + why, {}},
                            now_ms());
    rest = perform();
  }
  lock.unlock();
  finish(std::move(rest), true);
}

// A worker that is not there, or was not greeted, has the newest table before its first question.
void Engine::State::finish_feeds(Rest& rest) {
  uint64_t everywhere = tokens_number_;
  for (const Worker& worker : workers_)
    if (worker.link && worker.is_greeted)
      everywhere = std::min(everywhere, worker.tokens.applied());
  while (!feeds_.empty() && feeds_.begin()->first <= everywhere)
    rest.callbacks.push_back(
        [d = std::move(feeds_.extract(feeds_.begin()).mapped())] { d(Result<void>()); });
}

}  // namespace notp::rego
