// How SqliteStore leaves a transaction with an error. Part of SqliteStore.
#pragma once

#include "common/storage/sqlite.hpp"

namespace notp::sqlite_store {

// An Error on its way out of a transaction, which rolls back, to attempt().
struct Refused {
  Error error;
};

[[noreturn]] inline void refuse(ErrorCode code, std::string message) {
  throw Refused{Error{code, std::move(message), {}}};
}

// The value of `done` is there; its error is refused.
template <typename T>
void require(const Result<T>& done) {
  if (!done) throw Refused{done.error()};
}

// Runs `body`; what it refuses and what SQLite throws becomes the Result.
template <typename Body>
auto attempt(std::string_view doing, Body&& body) -> Result<std::invoke_result_t<Body>> {
  try {
    return sqlite_try(doing, std::forward<Body>(body));
  } catch (Refused& refused) {
    return std::unexpected(std::move(refused.error).in(doing));
  }
}

}  // namespace notp::sqlite_store
