// A lane's surroundings: the session with the registry, the PDP, the agent's alarms. All on the
// agent's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <variant>

#include "notp-client/lane/table/token_table.hpp"
#include "notp-client/pdp/token_sink.hpp"
#include "protocol/session/client/client_session.hpp"

namespace notp::lane {

using LaneMessage = std::variant<wire::LaneSubscribe, wire::LaneAsk, wire::LaneApplied>;

class AgentSide : public std::enable_shared_from_this<AgentSide> {
 public:
  using Alarm = std::function<void(const Error&)>;
  // `decided`: as TokenSink's `done`, with the number of the update. `lost`: the PDP needs the
  // whole table.
  struct Events {
    std::function<void(uint64_t number, Result<void>)> decided;
    std::function<void()> lost;
  };
  // `sink` outlives the executor's context.
  AgentSide(boost::asio::any_io_executor executor, pdp::TokenSink& sink, Alarm alarm)
      : executor_(std::move(executor)), sink_(sink), alarm_(std::move(alarm)) {}

  // On the executor.
  void start(Events events);
  void stop() { events_ = {}, session_ = nullptr, is_stopped_ = true; }
  void session_begins(session::ClientSession& session, std::function<void()> wake);
  void session_ended() { session_ = nullptr; }

  // On any thread.
  void send(LaneMessage message);
  void decide(uint64_t number, TableUpdate update);
  void raise(Error error);

 private:
  const boost::asio::any_io_executor executor_;
  pdp::TokenSink& sink_;
  const Alarm alarm_;
  Events events_;  // empty: stopped
  session::ClientSession* session_ = nullptr;
  std::function<void()> wake_;
  bool is_stopped_ = false;
};

}  // namespace notp::lane
