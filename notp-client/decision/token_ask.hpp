// Finds the tokens of a question, so that the registry can be asked for them before it is decided.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "notp-client/decision/input_pointers.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::decision {

// Immutable: thread-safe.
class TokenAsk {
 public:
  // Returns when decisions know what the registry knows of these tokens, or it takes too long; at
  // once when all of that is known. `caller`: Question::caller. On any executor.
  using Resolve =
      std::function<boost::asio::awaitable<void>(std::vector<feed::TokenId>, std::string caller)>;

  // `pointers`: RFC 6901, into an input.
  TokenAsk(const std::vector<std::string>& pointers, Resolve resolve);

  // The ids of the texts at the pointers, of all inputs, each once; at most kLaneAsksOpenMax. An
  // input that the engine will refuse has none.
  std::vector<feed::TokenId> tokens_of(const pdp::Question& question) const;
  boost::asio::awaitable<void> ask(const pdp::Question& question) const;

 private:
  InputPointers pointers_;
  Resolve resolve_;
};

}  // namespace notp::decision
