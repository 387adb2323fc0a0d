// Package authproxy lets any MCP client sign in through Microsoft Entra ID.
package authproxy
