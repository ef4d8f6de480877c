package runtime

const (
	// AppID names the app in a configuration.
	AppID = "sessions"
	// StoreNamespace is where guest modules that are stores register.
	StoreNamespace = "sessions.stores"
	// AdminName is the admin API's module, and the name of its logger.
	AdminName = "admin.api.sessions"
)
