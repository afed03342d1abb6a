package authz

// CheckBoth is checkBoth, for tests that need the worlds of others, which
// import this package.
var CheckBoth = checkBoth
