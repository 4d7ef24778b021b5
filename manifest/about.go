package manifest

// about says in a line what each key is for. A test holds it against the keys that are read.
var about = map[string]string{}
