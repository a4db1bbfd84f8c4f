// Error handling inside transactions of SQLite: a refusal rolls back.
#pragma once

#include <utility>

#include "common/storage/sqlite.hpp"

namespace notp {

// Carries an Error out of a transaction, which rolls back, to attempt().
struct Refused {
  Error error;
};

[[noreturn]] inline void refuse(ErrorCode code, std::string message) {
  throw Refused{Error{code, std::move(message), {}}};
}

// Throws Refused if `done` is an error.
template <typename T>
void require(const Result<T>& done) {
  if (!done) throw Refused{done.error()};
}

// Runs `body`; a Refused or an exception of SQLite becomes the Result's error.
template <typename Body>
auto attempt(std::string_view doing, Body&& body) -> Result<std::invoke_result_t<Body>> {
  try {
    return sqlite_try(doing, std::forward<Body>(body));
  } catch (Refused& refused) {
    return std::unexpected(std::move(refused.error).in(doing));
  }
}

}  // namespace notp
