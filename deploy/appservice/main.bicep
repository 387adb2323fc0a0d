// docs/deploy/appservice.md
targetScope = 'resourceGroup'

@description('The app, and the first part of its host: NAME.azurewebsites.net.')
param name string

@description('The Linux plan, in this resource group: Basic or better, for Always On.')
param planName string

@description('The user-assigned managed identity, in this resource group: the federated credential of the API\'s app registration. It may pull the image.')
param identityName string

@description('The image, with its registry: REGISTRY.azurecr.io/mcp-server@sha256:...')
param image string

@description('API_APP_ID: the application ID of the API\'s app registration.')
param apiAppId string

param tenantId string = tenant().tenantId

@description('https://ACCOUNT.blob.core.windows.net')
param storageAccountUrl string

param storageContainer string

@description('The origin that clients use. Behind Front Door or with a domain of your own: that one.')
param publicUrl string = 'https://${name}.azurewebsites.net'

@secure()
@description('STATE_KEYS: base64 of 32 random bytes, the same for all instances.')
param stateKeys string

resource plan 'Microsoft.Web/serverfarms@2023-12-01' existing = {
  name: planName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: resourceGroup().location
  kind: 'app,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identity.properties.clientId
      alwaysOn: true
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      http20Enabled: true
      healthCheckPath: '/ready'
      appSettings: [
        { name: 'WEBSITES_PORT', value: '8000' }
        // 0 s before the stop + 25 s to drain + 10 s; without it, App Service kills after 5 s
        { name: 'WEBSITES_CONTAINER_STOP_TIME_LIMIT', value: '35' }
        { name: 'WEBSITES_ENABLE_APP_SERVICE_STORAGE', value: 'false' }
        { name: 'TENANT_ID', value: tenantId }
        { name: 'API_APP_ID', value: apiAppId }
        { name: 'PUBLIC_URL', value: publicUrl }
        // what the gateway in front sends, if PUBLIC_URL is its host
        { name: 'ALLOWED_HOSTS', value: '${name}.azurewebsites.net' }
        { name: 'USE_OBO_FLOW', value: 'true' }
        { name: 'UMI_CLIENT_ID', value: identity.properties.clientId }
        { name: 'AZURE_STORAGE_ACCOUNT_URL', value: storageAccountUrl }
        { name: 'AZURE_STORAGE_CONTAINER', value: storageContainer }
        // of the disk that the plan's apps share
        { name: 'DOWNLOAD_MAX_BYTES', value: '1073741824' }
        { name: 'STATE_KEYS', value: stateKeys }
      ]
    }
  }
}

// The server checks tokens itself. Built-in authentication would answer first, without
// the metadata and challenges that MCP clients need.
resource noBuiltInAuthentication 'Microsoft.Web/sites/config@2023-12-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: false
    }
  }
}

// Nobody deploys by password.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

output endpoint string = '${publicUrl}/mcp'
