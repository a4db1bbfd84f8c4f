// Routes requests to handlers. All servers of this project use it, so that 404, 405, HEAD and
// OPTIONS are answered in one place.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.hpp"

namespace notp::http {

// Filled before the first request; afterwards all threads may use it.
class Router {
 public:
  // `methods` are separated by spaces: "GET POST". GET includes HEAD, and every pattern OPTIONS; a
  // server omits the body of a HEAD's answer. `pattern` is a whole path ("/v1/data"), or one that
  // ends in "/*" and also matches everything below it ("/v1/data/*": "/v1/data", "/v1/data/",
  // "/v1/data/a/b"). The longest pattern wins; an exact one before "/*" of the same length. A
  // pattern may be added again with further methods. "%2F" is not a separator.
  Router& add(std::string_view methods, std::string_view pattern, Handler handler);

  // Answers 404 "not_found" for an unknown path, 405 "method_not_allowed" with Allow for an unknown
  // method, 204 with Allow for OPTIONS.
  boost::asio::awaitable<Response> answer(const Request& request) const;

  // Returns a handler for Server::listen(); this object must outlive the server.
  Handler handler() const;

 private:
  struct Route {
    std::vector<std::pair<std::string, Handler>> methods;

    const Handler* find(std::string_view method) const;
    std::string allowed() const;
  };

  const Route* find(std::string_view path) const;

  std::map<std::string, Route, std::less<>> exact_;
  std::map<std::string, Route, std::less<>> below_;  // by the pattern without "/*"
};

}  // namespace notp::http
