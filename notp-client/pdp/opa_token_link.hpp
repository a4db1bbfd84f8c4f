// Moves a node's tokens to OPA: the calls that OpaTokens decides on.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "common/atomic_shared.hpp"
#include "common/http/client.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "notp-client/pdp/opa_tokens.hpp"

namespace notp::pdp {

// On the agent's executor, which is one thread or a strand.
class OpaTokenLink : public std::enable_shared_from_this<OpaTokenLink> {
 public:
  OpaTokenLink(boost::asio::any_io_executor agent, std::string url, OpaTokensOptions options);

  // For rego::opa_tokens_module(); of this object alone.
  const Hash& proof() const { return proof_; }

  void start();
  // No callback is called afterwards.
  void close();
  // As TokenSink's functions.
  void apply(lane::TableUpdate update, std::function<void(Result<void>)> done);
  void on_lost(std::function<void()> callback);
  void on_status();
  // Any thread.
  OpaTokensStatus status() const { return *told_.get(); }

 private:
  static boost::asio::awaitable<void> run(std::shared_ptr<OpaTokenLink> self);
  boost::asio::awaitable<void> call(OpaTokensCall what);
  boost::asio::awaitable<void> wait();
  void wake();
  void tell();
  void tell_status();

  const boost::asio::any_io_executor agent_;
  const std::string url_;
  const OpaTokensOptions options_;
  const http::Client client_;
  Hash proof_;
  OpaTokens core_;
  boost::asio::steady_timer timer_;
  std::function<void()> lost_;
  AtomicShared<OpaTokensStatus> told_{std::make_shared<const OpaTokensStatus>()};
  bool is_closed_ = false;
};

}  // namespace notp::pdp
